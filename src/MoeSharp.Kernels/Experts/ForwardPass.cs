using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>
/// Tokens through their experts, fused: gate and up are one product with the activation in its epilogue, then down, and last the weighted sum
/// of every token's rows. Tokens are laid out for the products once; each expert reads its own where they lie, and none is moved.
/// </summary>
/// <remarks>
/// Every output element is one chain of multiply-adds per product and one ordered sum over the token's slots: the bits do not depend on
/// the number of threads, nor on which tokens share a call.
/// </remarks>
/// <param name="source">The panels of the routed experts.</param>
/// <param name="kernel">The inner loop of the products.</param>
/// <param name="epilogue">The routed experts' activation.</param>
/// <param name="applyTo">What routing weights multiply.</param>
/// <param name="shared">The expert of all tokens; null for none. Its output is added last, after the slots.</param>
internal sealed unsafe class ForwardPass(PanelSource source, TileKernel kernel, GatedEpilogue epilogue, WeightTarget applyTo, SharedPanels? shared = null) : IPassSteps
{
    /// <summary>The kinds of tasks.</summary>
    public const int LayOut = 0, Weigh = 1, Up = 2, Down = 3, Combine = 4;

    private const int TokensPerLayOut = 32, RowsPerWeigh = 32, TokensPerCombine = 16;

    private readonly ExpertShape _shape = source.Shape;
    private readonly ExpertGroup _routed = new(source, epilogue);
    private readonly ExpertGroup? _shared = shared is null ? null : new(shared.Source, shared.Epilogue);
    private PassTasks _tasks = null!;       // of a run
    private ExpertRows _rows = null!;
    private TokenRows _x, _y;
    private float* _preActivations;
    private byte* _tokens, _weighed, _outputs;
    private ThreadScratch _scratch;

    private bool LaysOut => !WeighsInputs || _shared is not null;

    private bool WeighsInputs => applyTo == WeightTarget.Input;

    private int SharedExpert => _rows.Plan.ExpertCount;

    /// <summary>Runs the tokens of a plan.</summary>
    /// <param name="pool">The threads.</param>
    /// <param name="memory">The lists, and the rows in between.</param>
    /// <param name="x">The tokens [T, D].</param>
    /// <param name="plan">Who goes where.</param>
    /// <param name="y">Receives the sums [T, D].</param>
    /// <param name="kept">Receives what is kept for the way back, which a shared expert has not.</param>
    public void Run(WorkerPool pool, PassMemory memory, TokenRows x, RoutingPlan plan, TokenRows y, KeptRows kept = default)
    {
        (_tasks, _rows) = (memory.Tasks, memory.Rows);
        _x = x;
        _y = y;
        _preActivations = kept.PreActivations;
        _rows.Take(plan, hasShared: shared is not null);
        int active = ActiveExperts();
        _tokens = memory.Area("the tokens as products read them", LaysOut ? plan.TokenCount * (long)_shape.InputStride : 0);      // on huge pages, which the caller's may not be
        _weighed = memory.Area("the tokens times their weights", WeighsInputs ? _rows.Routed * (long)_shape.InputStride : 0);
        _outputs = memory.Area("the experts' outputs", (long)_rows.Count * _shape.OutputStride * _shape.ValueBytes);
        _scratch = memory.Scratch(pool.Threads, nint.Max(_routed.PanelBytes, _shared?.PanelBytes ?? 0));      // of a panel, or of two tokens in float32, which are less
        _routed.Place(0, 0, kept.Hidden is not null ? kept.Hidden : memory.Area("the hidden rows", _rows.Routed * (long)_shape.HiddenStride));
        _shared?.Place(SharedExpert, _rows.Routed, memory.Area("the shared expert's hidden rows", plan.TokenCount * (long)_shared.Shape.HiddenStride));
        ListTasks(active, pool.Threads);
        _tasks.Run(pool, this, wakes: IsWorthWaking(active));
    }

    private bool IsWorthWaking(int activeExperts)
    {
        long products = 3L * _shape.Hidden * ((long)_rows.Routed * _shape.Intermediate + (_rows.Count - _rows.Routed) * (long)(_shared?.Shape.Intermediate ?? 0));
        return PassWork.IsWorthWaking(products, activeExperts * _shape.PackedBytes + (_shared?.Shape.PackedBytes ?? 0));
    }

    void IPassSteps.Do(in PassTask task, int worker)
    {
        switch (task.Kind)
        {
            case LayOut: LayOutTokens(task, worker); break;
            case Weigh: WeighRows(task, worker); break;
            case Up: RunUp(task, worker); break;
            case Down: RunDown(task, worker); break;
            case Combine: CombineTokens(task, worker); break;
        }
    }

    // down comes two experts late: by then the rows it needs are there, and no thread waits
    private void ListTasks(int activeExperts, int threads)
    {
        const int Late = 2;

        _tasks.Clear(SumCounter + 1);
        if (LaysOut) _tasks.Add(LayOut, 0, _rows.Plan.TokenCount, TokensPerLayOut, TokenCounter);
        _routed.Divide(activeExperts, threads);
        _shared?.Divide(1, threads);
        Span<int> pending = stackalloc int[Late];
        int seen = 0;
        for (int i = 0; i <= SharedExpert; i++)
        {
            int e = i == 0 ? SharedExpert : i - 1;      // all tokens are its rows: the longest tasks come first, and the last ones are short
            int count = _rows.Of(e).Count;
            if (count == 0) continue;

            if (WeighsInputs && e < SharedExpert) _tasks.Add(Weigh, e, count, RowsPerWeigh, WeighCounter(e));
            _tasks.Add(Up, e, GroupOf(e).Shape.UpPanels, GroupOf(e).UpPart, UpCounter(e));
            if (seen >= Late) AddDown(pending[seen % Late]);
            pending[seen++ % Late] = e;
        }

        for (int late = Math.Max(0, seen - Late); late < seen; late++)
        {
            int e = pending[late % Late];
            if (late < seen - 1) AddDown(e);
            else _tasks.AddTapering(Down, e, _shape.DownPanels, GroupOf(e).DownPart, LeastDown(e), threads, DownCounter(e));
        }

        _tasks.Add(Combine, 0, _rows.Plan.TokenCount, TokensPerCombine, SumCounter);
    }

    // the routed ones that have rows
    private int ActiveExperts()
    {
        int active = 0;
        for (int e = 0; e < SharedExpert; e++) active += _rows.Of(e).Count > 0 ? 1 : 0;
        return active;
    }

    private void AddDown(int expert) => _tasks.Add(Down, expert, _shape.DownPanels, GroupOf(expert).DownPart, DownCounter(expert));

    // few rows read weights at the speed of memory while a task goes on, many compute
    private int LeastDown(int expert) => _rows.Of(expert).Count > kernel.MaxRows ? 1 : ExpertGroup.Together;

    private ExpertGroup GroupOf(int expert) => expert < SharedExpert ? _routed : _shared!;      // who else has rows

    private int TokenCounter => 3 * (SharedExpert + 1);

    private int SumCounter => TokenCounter + 1;

    private static int WeighCounter(int expert) => 3 * expert;

    private static int UpCounter(int expert) => 3 * expert + 1;

    private static int DownCounter(int expert) => 3 * expert + 2;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void LayOutTokens(in PassTask task, int worker)
    {
        for (int token = task.First; token < task.End; token++) RowGather.Copy(_x, token, _tokens + token * _shape.InputStride, _shape, 1, RoomOf(worker));
        _tasks.Done(TokenCounter);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void WeighRows(in PassTask task, int worker)
    {
        int first = _rows.Of(task.Expert).First;
        for (int row = first + task.First; row < first + task.End; row++)
        {
            RowGather.Copy(_x, _rows.Tokens[row], _weighed + row * _shape.InputStride, _shape, _rows.Plan.Weights[_rows.Plan.Order[row]], RoomOf(worker));
        }

        _tasks.Done(WeighCounter(task.Expert));
    }

    // for a token in float32: where the thread has a panel in other tasks
    private float* RoomOf(int worker) => (float*)_scratch.Panel(worker);

    private TileInputs InputsOf(int expert)
    {
        var (first, count) = _rows.Of(expert);
        return expert == SharedExpert ? new(_tokens, _shape.InputStride, count)
            : WeighsInputs ? new(_weighed + first * _shape.InputStride, _shape.InputStride, count)
            : new(_tokens, _shape.InputStride, count, _rows.TokensFrom(first));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RunUp(in PassTask task, int worker)
    {
        if (!_tasks.WaitFor(TokenCounter) || !_tasks.WaitFor(WeighCounter(task.Expert))) return;

        Multiply<UpSink>(task, 0, InputsOf(task.Expert), _shape.UpDepth, worker);
        _tasks.Done(UpCounter(task.Expert));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RunDown(in PassTask task, int worker)
    {
        if (!_tasks.WaitFor(UpCounter(task.Expert))) return;

        var (first, count) = _rows.Of(task.Expert);
        var group = GroupOf(task.Expert);
        Multiply<DownSink>(task, group.Shape.UpPanels, new(group.HiddenOf(first), group.Shape.HiddenStride, count), group.Shape.DownDepth, worker);
        _tasks.Done(DownCounter(task.Expert));
    }

    // the panels of a task, counted from firstPanel on; several together where the kernel wants them and they are there
    private void Multiply<TSink>(in PassTask task, int firstPanel, TileInputs inputs, int depth, int worker)
        where TSink : struct, IPanelSink<TSink>
    {
        int firstRow = _rows.Of(task.Expert).First, count = inputs.Count, together = kernel.PanelsOf(count);
        var group = GroupOf(task.Expert);
        var source = group.Source;
        int expert = group.NumberOf(task.Expert);
        float* tile = _scratch.Tile(worker);
        for (int panel = task.First, done; panel < task.End; panel += done)
        {
            byte* weights = source.Panel(expert, firstPanel + panel, _scratch.Panel(worker), out var place);
            done = together > 1 && panel + together <= task.End && source.HasPanels(expert, firstPanel + panel, together) ? together : 1;
            if (done > 1)
            {
                PanelProduct.RunWide(kernel, inputs, weights, depth, tile);
                for (int i = 0; i < done; i++) SinkOf(panel + i).Take(tile + i * count * TileKernel.Columns, 0, count);
                continue;
            }

            var fetch = place == PanelPlace.Cache ? PanelPlace.Fetched : FetchOf(count);
            if (place == PanelPlace.Memory && panel > task.First) place = fetch;
            var next = fetch != PanelPlace.Memory && panel + 1 < task.End ? source.Next(expert, firstPanel + panel + 1) : NextPanel.None;
            if (fetch == PanelPlace.HalfFetched) next = next.LateHalf;
            PanelProduct.Run(kernel, inputs, weights, depth, place, next, tile, SinkOf(panel));
        }

        TSink SinkOf(int panel) => TSink.Of(this, group, firstRow, panel, source.Bias(expert, firstPanel + panel));
    }

    // How a panel is fetched ahead, as it was measured to be fastest (docs/kernels/experts.md). One block cannot fetch the next panel whole, so it fetches
    // its own. The rows of many blocks leave little of the second cache: there the next panel comes by halves, or not before it is begun.
    private PanelPlace FetchOf(int rows)
    {
        int blocks = (rows + kernel.MaxRows - 1) / kernel.MaxRows;
        bool isFloat32 = kernel.Type == TileType.Float32;
        if (blocks is > 1 and <= 4) return PanelPlace.Fetched;
        if (blocks <= (isFloat32 ? 6 : 8)) return PanelPlace.Memory;

        return isFloat32 ? PanelPlace.HalfFetched : PanelPlace.Fetched;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CombineTokens(in PassTask task, int worker)
    {
        var plan = _rows.Plan;
        for (int token = task.First; token < task.End; token++)
        {
            var experts = plan.Experts.AsSpan(token * plan.Width, plan.Width);
            var rows = _rows.OfToken(token);
            for (int slot = 0; slot < experts.Length; slot++)
            {
                if (rows[slot] >= 0 && !_tasks.WaitFor(DownCounter(experts[slot]))) return;
            }

            var next = token + 1 < task.End ? _rows.OfToken(token + 1) : [];
            float* sum = _y.Begin(token, RoomOf(worker));
            RowSum.Of(rows, plan.Weights.AsSpan(token * plan.Width, plan.Width), applyTo == WeightTarget.Output, _outputs, _shape.Type, _shape.OutputStride, sum, _shape.Hidden, next);
            if (shared is not null && !AddShared(token, sum, worker)) return;
            _y.Finish(token, sum);
        }
    }

    private bool AddShared(int token, float* sum, int worker)
    {
        if (!_tasks.WaitFor(DownCounter(SharedExpert))) return false;

        float weight = shared!.WeightOf(_x.Read(token, RoomOf(worker) + _shape.Hidden));        // asked by the caller
        RowSum.Add(weight, _outputs + (long)(_rows.Routed + token) * _shape.OutputStride * _shape.ValueBytes, _shape.Type, sum, _shape.Hidden);
        return true;
    }

    private interface IPanelSink<TSelf> : ITileSink
        where TSelf : struct
    {
        static abstract TSelf Of(ForwardPass pass, ExpertGroup group, int firstRow, int panel, float* bias);
    }

    /// <summary>Bias, keeping, activation.</summary>
    private readonly struct UpSink(ForwardPass pass, ExpertGroup group, int firstRow, int panel, float* bias) : IPanelSink<UpSink>
    {
        public static UpSink Of(ForwardPass pass, ExpertGroup group, int firstRow, int panel, float* bias) => new(pass, group, firstRow, panel, bias);

        public void Take(float* tile, int first, int rows)
        {
            if (bias is not null) TileRows.AddBias(tile, rows, bias);

            int row = firstRow + first;
            ref readonly var shape = ref pass._shape;
            if (pass._preActivations is not null) TileRows.Store(tile, rows, pass._preActivations + (long)row * shape.KeptStride + panel * TileKernel.Columns, shape.KeptStride);
            group.Activate(tile, rows, row, panel);
        }
    }

    /// <summary>Bias, the experts' outputs.</summary>
    private readonly struct DownSink(StoreSink store) : IPanelSink<DownSink>
    {
        public static DownSink Of(ForwardPass pass, ExpertGroup group, int firstRow, int panel, float* bias) =>
            new(new(pass._outputs, pass._shape.Type, (long)firstRow * pass._shape.OutputStride + panel * TileKernel.Columns, pass._shape.OutputStride, bias));

        public void Take(float* tile, int first, int rows) => store.Take(tile, first, rows);
    }
}
