namespace MoeSharp;

/// <summary>
/// Tokens through their experts, fused: rows are gathered expert by expert, gate and up are one product with the activation in its
/// epilogue, then down, and last the weighted sum of every token's rows.
/// </summary>
/// <remarks>
/// Every output element is one chain of multiply-adds per product and one ordered sum over the token's slots: the bits do not depend on
/// the number of threads, nor on which tokens share a call.
/// </remarks>
internal sealed unsafe class ForwardPass(PanelSource source, TileKernel kernel, GatedEpilogue epilogue, WeightTarget applyTo) : IPassSteps
{
    private const int Gather = 0, Up = 1, Down = 2, Combine = 3;
    private const int RowsPerGather = 32, TokensPerCombine = 16;
    private const long TaskBytes = 1 << 20;         // of weights; from 0.5 to 4 MB there was no difference
    private const long LeastTaskBytes = 64 << 10;
    private const long WorkWorthWaking = 2_500_000; // multiply-adds: about 50 µs of one thread
    private const int WorkPerByte = 4;              // multiply-adds that take as long as a byte of weights from memory

    private readonly ExpertShape _shape = source.Shape;
    private readonly PassTasks _tasks = new();
    private readonly ExpertRows _rows = new();
    private float* _x, _y, _preActivations, _outputs;
    private byte* _inputs, _hidden;
    private ThreadScratch _scratch;

    /// <summary>Runs the tokens of a plan.</summary>
    /// <param name="pool">The threads.</param>
    /// <param name="memory">The rows in between.</param>
    /// <param name="x">The tokens [T, D].</param>
    /// <param name="plan">Who goes where.</param>
    /// <param name="y">Receives the sums [T, D].</param>
    /// <param name="kept">Receives what is kept for the way back.</param>
    public void Run(WorkerPool pool, PassMemory memory, float* x, RoutingPlan plan, float* y, KeptRows kept = default)
    {
        _x = x;
        _y = y;
        _preActivations = kept.PreActivations;
        _rows.Take(plan);
        _inputs = memory.Area("the gathered rows", _rows.Count * (long)_shape.InputStride);
        _hidden = kept.Hidden is not null ? kept.Hidden : memory.Area("the hidden rows", _rows.Count * (long)_shape.HiddenStride);
        _outputs = (float*)memory.Area("the experts' outputs", (long)_rows.Count * _shape.OutputStride * sizeof(float));
        _scratch = memory.Scratch(pool.Threads, nint.Max(_shape.UpPanelBytes, _shape.DownPanelBytes));
        long bytes = _rows.ActiveExperts * _shape.PackedBytes;
        ListTasks(bytes / pool.Threads);
        _tasks.Run(pool, this, wakes: 3L * _rows.Count * _shape.Hidden * _shape.Intermediate + WorkPerByte * bytes > WorkWorthWaking);
    }

    void IPassSteps.Do(in PassTask task, int worker)
    {
        switch (task.Kind)
        {
            case Gather: GatherRows(task); break;
            case Up: RunUp(task, worker); break;
            case Down: RunDown(task, worker); break;
            case Combine: CombineTokens(task, worker); break;
        }
    }

    // down comes two experts late: by then the rows it needs are there, and no thread waits
    private void ListTasks(long bytesOfAThread)
    {
        const int Late = 2, TasksOfAThread = 8;

        var plan = _rows.Plan;
        int experts = plan.ExpertCount;
        Span<int> pending = stackalloc int[Late];
        long bytes = Math.Clamp(bytesOfAThread / TasksOfAThread, LeastTaskBytes, TaskBytes);
        int upPart = (int)Math.Max(1, bytes / _shape.UpPanelBytes), downPart = (int)Math.Max(1, bytes / _shape.DownPanelBytes);
        _tasks.Clear(3 * experts + 1);
        int seen = 0;
        for (int e = 0; e < experts; e++)
        {
            int count = _rows.Of(e).Count;
            if (count == 0) continue;

            _tasks.Add(Gather, e, count, RowsPerGather, GatherCounter(e));
            _tasks.Add(Up, e, _shape.UpPanels, upPart, UpCounter(e));
            if (seen >= Late) AddDown(pending[seen % Late], downPart);
            pending[seen++ % Late] = e;
        }

        for (int late = Math.Max(0, seen - Late); late < seen; late++) AddDown(pending[late % Late], downPart);
        _tasks.Add(Combine, 0, plan.TokenCount, TokensPerCombine, AllCounter + 0);
    }

    private void AddDown(int expert, int part) => _tasks.Add(Down, expert, _shape.DownPanels, part, DownCounter(expert));

    private int AllCounter => 3 * _rows.Plan.ExpertCount;

    private static int GatherCounter(int expert) => 3 * expert;

    private static int UpCounter(int expert) => 3 * expert + 1;

    private static int DownCounter(int expert) => 3 * expert + 2;

    private void GatherRows(in PassTask task)
    {
        int first = _rows.Of(task.Expert).First;
        for (int row = first + task.First; row < first + task.End; row++)
        {
            float* token = _x + (long)_rows.Tokens[row] * _shape.Hidden;
            RowGather.Copy(token, _inputs + row * _shape.InputStride, _shape, applyTo == WeightTarget.Input ? _rows.Plan.Weights[_rows.Plan.Order[row]] : 1);
        }

        _tasks.Done(GatherCounter(task.Expert));
    }

    private void RunUp(in PassTask task, int worker)
    {
        if (!_tasks.WaitFor(GatherCounter(task.Expert))) return;
        var (first, count) = _rows.Of(task.Expert);
        for (int panel = task.First; panel < task.End; panel++)
        {
            byte* weights = source.Up(task.Expert, panel, _scratch.Panel(worker), out var place);
            var next = panel + 1 < task.End ? source.NextUp(task.Expert, panel + 1) : NextPanel.None;
            var sink = new UpSink(this, first, panel, source.UpBias(task.Expert, panel));
            PanelProduct.Run(kernel, _inputs + first * _shape.InputStride, _shape.InputStride, count, weights, _shape.UpDepth, PlaceOf(place, panel == task.First, count), next, _scratch.Tile(worker), sink);
        }

        _tasks.Done(UpCounter(task.Expert));
    }

    private void RunDown(in PassTask task, int worker)
    {
        if (!_tasks.WaitFor(UpCounter(task.Expert))) return;
        var (first, count) = _rows.Of(task.Expert);
        for (int panel = task.First; panel < task.End; panel++)
        {
            byte* weights = source.Down(task.Expert, panel, _scratch.Panel(worker), out var place);
            var next = panel + 1 < task.End ? source.NextDown(task.Expert, panel + 1) : NextPanel.None;
            var sink = new StoreSink(_outputs + (long)first * _shape.OutputStride + panel * TileKernel.Columns, _shape.OutputStride, source.DownBias(task.Expert, panel));
            PanelProduct.Run(kernel, _hidden + first * _shape.HiddenStride, _shape.HiddenStride, count, weights, _shape.DownDepth, PlaceOf(place, panel == task.First, count), next, _scratch.Tile(worker), sink);
        }

        _tasks.Done(DownCounter(task.Expert));
    }

    // one block cannot fetch the next panel whole, so it fetches its own
    private PanelPlace PlaceOf(PanelPlace place, bool isFirst, int rows) =>
        place == PanelPlace.Memory && !isFirst && rows > kernel.MaxRows ? PanelPlace.Fetched : place;

    private void CombineTokens(in PassTask task, int worker)
    {
        var plan = _rows.Plan;
        for (int token = task.First; token < task.End; token++)
        {
            var experts = plan.Experts.AsSpan(token * plan.Width, plan.Width);
            var rows = _rows.Rows.Slice(token * plan.Width, plan.Width);
            for (int slot = 0; slot < experts.Length; slot++)
            {
                if (rows[slot] >= 0 && !_tasks.WaitFor(DownCounter(experts[slot]))) return;
            }

            RowSum.Of(rows, plan.Weights.AsSpan(token * plan.Width, plan.Width), applyTo == WeightTarget.Output, _outputs, _shape.OutputStride, _y + (long)token * _shape.Hidden, _shape.Hidden);
        }
    }

    /// <summary>Bias, keeping, activation.</summary>
    private readonly struct UpSink(ForwardPass pass, int firstRow, int panel, float* bias) : ITileSink
    {
        public void Take(float* tile, int first, int rows)
        {
            if (bias is not null) TileRows.AddBias(tile, rows, bias);

            int row = firstRow + first;
            ref readonly var shape = ref pass._shape;
            if (pass._preActivations is not null) TileRows.Store(tile, rows, pass._preActivations + (long)row * shape.KeptStride + panel * TileKernel.Columns, shape.KeptStride);
            pass.Activate(tile, rows, row, panel);
        }
    }

    private void Activate(float* tile, int rows, int row, int panel) =>
        epilogue.Activate(tile, TileKernel.Columns, rows, _hidden + row * _shape.HiddenStride + panel * (_shape.Type == TileType.Float32 ? 64 : 32), _shape.HiddenStride, _shape.Type);
}
