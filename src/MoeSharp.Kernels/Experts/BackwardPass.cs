using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>
/// The way back through gated experts, fused: gradients of hidden rows from those of outputs, through the activation, then those of the
/// tokens, the weights and the routing weights. The experts' outputs are never needed: Σ dy · z = Σ (dy · Down) · h.
/// </summary>
/// <remarks>
/// Weight gradients are sums over an expert's rows in their order, and a token's gradient is one over its slots: the bits do not depend on
/// the number of threads. In bfloat16 everything that is multiplied is rounded, weights too; what is summed and kept is float32.
/// </remarks>
internal sealed unsafe class BackwardPass(ExpertMatrices source, TileKernel kernel, OuterKernel outer, GatedEpilogue epilogue, WeightTarget applyTo) : IPassSteps
{
    private const int Gather = 0, Up = 1, Hidden = 2, Input = 3, UpWeights = 4, DownWeights = 5, Combine = 6;
    private const int Columns = TileKernel.Columns, Turn = 16, RowsPerGather = 32, TokensPerCombine = 16, PanelsPerTask = 8;

    // rows of weight gradients, in 32s, that take all columns of a task before the next: what they read of 128 tokens is 48 KB, and stays in the second cache
    private const int TurnsTogether = 3;

    private readonly ExpertShape _shape = OfOneType(source.Shape, kernel, outer);
    private readonly bool _weightsInput = applyTo == WeightTarget.Input;
    private PassTasks _tasks = null!;       // of a run
    private ExpertRows _rows = null!;
    private float* _x, _dy, _preActivations, _dInputs, _weights, _products;
    private byte* _inputs, _upstream, _dPreActivations, _keptHidden;
    private OuterRows _outerInputs, _outerUpstream, _outerGradients, _outerHidden;
    private bool _runsUp;
    private ExpertGradients _to;
    private ThreadScratch _scratch;

    // 32 columns of the hidden width: two panels of gate and up
    private int HiddenPanels => (_shape.Intermediate + Columns - 1) / Columns;

    private bool IsFloat32 => _shape.Type == TileType.Float32;

    // from a row of gradients of pre-activations to the next
    private nint GradientStride => _shape.KeptStride * _shape.ValueBytes;

    private bool NeedsInputs => _to.Tokens is not null || (_weightsInput && _to.Weights is not null);

    /// <summary>Computes the gradients of a forward pass.</summary>
    /// <param name="pool">The threads.</param>
    /// <param name="memory">The lists, and the rows in between.</param>
    /// <param name="x">The tokens [T, D] of the forward pass.</param>
    /// <param name="plan">Its plan.</param>
    /// <param name="kept">What it kept; the rest is computed again, to the same bits.</param>
    /// <param name="dy">The gradients of the sums [T, D].</param>
    /// <param name="to">Receives the gradients.</param>
    public void Run(WorkerPool pool, PassMemory memory, float* x, RoutingPlan plan, KeptRows kept, float* dy, in ExpertGradients to)
    {
        (_tasks, _rows) = (memory.Tasks, memory.Rows);
        _x = x;
        _dy = dy;
        _to = to;
        _rows.Take(plan);
        long rows = _rows.Count;
        _inputs = memory.Area("the gathered rows", rows * _shape.InputStride);
        _upstream = memory.Area("the gathered gradients", rows * _shape.InputStride);
        _dPreActivations = memory.Area("the gradients of pre-activations", rows * GradientStride);
        PlaceOuterRows(memory);
        _keptHidden = IsFloat32 ? kept.Hidden : null;       // rounded rows would be other products
        _runsUp = kept.PreActivations is null;
        _preActivations = kept.PreActivations;
        if (_runsUp) _preActivations = IsFloat32 ? (float*)_dPreActivations : (float*)memory.Area("the pre-activations", rows * _shape.KeptStride * sizeof(float));     // each is read just before its gradient takes its place
        _dInputs = (float*)memory.Area("the gradients of the experts' inputs", rows * _shape.OutputStride * sizeof(float));
        _weights = (float*)memory.Area("the rows' weights", rows * sizeof(float));
        _products = (float*)memory.Area("the products of gradients and hidden rows", rows * HiddenPanels * sizeof(float));
        _scratch = memory.Scratch(pool.Threads, PanelPacker.Bytes(Math.Max(_shape.Hidden, _shape.UpPanels * Columns), _shape.Type));
        if (to.Weights is not null) new Span<float>(to.Weights, plan.Experts.Length).Clear();
        if (to.GateBias is not null) new Span<float>(to.GateBias, plan.ExpertCount * _shape.Intermediate).Clear();
        if (to.UpBias is not null) new Span<float>(to.UpBias, plan.ExpertCount * _shape.Intermediate).Clear();
        ListTasks();
        _tasks.Run(pool, this, wakes: true);
    }

    void IPassSteps.Do(in PassTask task, int worker)
    {
        switch (task.Kind)
        {
            case Gather: GatherRows(task); break;
            case Up: RunUp(task, worker); break;
            case Hidden: RunHidden(task, worker); break;
            case Input: RunInput(task, worker); break;
            case UpWeights: RunUpWeights(task, worker); break;
            case DownWeights: RunDownWeights(task, worker); break;
            case Combine: CombineTokens(task); break;
        }
    }

    private static ExpertShape OfOneType(ExpertShape shape, TileKernel kernel, OuterKernel outer) =>
        shape.Type == kernel.Type && shape.Type == outer.Type
            ? shape
            : throw new NotSupportedException($"The backward pass computes in one type; the experts are {shape.Type}, with {kernel.Name} and {outer.Name}.");

    // float32 rows serve both products, bfloat16 is laid out for each
    private void PlaceOuterRows(PassMemory memory)
    {
        var wide = _shape with { Type = TileType.Float32 };
        long rows = OuterRows.Count(_rows.Count, _rows.Plan.ExpertCount, _shape.Type);
        _outerInputs = new(IsFloat32 ? _inputs : memory.Area("the rows two by two", rows * wide.InputStride), wide.InputStride, _shape.Type);
        _outerUpstream = new(IsFloat32 ? _upstream : memory.Area("the gradients two by two", rows * wide.InputStride), wide.InputStride, _shape.Type);
        nint stride = wide.KeptStride * sizeof(float);
        _outerGradients = new(IsFloat32 ? _dPreActivations : memory.Area("the gradients of pre-activations two by two", rows * stride), stride, _shape.Type);
        _outerHidden = new(memory.Area("the hidden rows", rows * wide.HiddenStride), wide.HiddenStride, _shape.Type);
    }

    // what needs an expert's hidden gradients comes after the next expert's are on their way, or its pre-activations where they are computed again: no thread waits
    private void ListTasks()
    {
        int experts = _rows.Plan.ExpertCount;
        _tasks.Clear(4 * experts + 1);
        for (int e = 0; e < experts; e++)
        {
            AddRows(e);
            if (!_runsUp) AddHidden(e);
            if (e > 0) AddProducts(e - 1);
            if (_runsUp) AddHidden(e);
        }

        AddProducts(experts - 1);
        if (NeedsInputs || _to.Weights is not null) _tasks.Add(Combine, 0, _rows.Plan.TokenCount, TokensPerCombine, 4 * experts);
    }

    private void AddRows(int expert)
    {
        int count = _rows.Of(expert).Count;
        _tasks.Add(Gather, expert, count, RowsPerGather, GatherCounter(expert));
        if (_runsUp && count > 0) _tasks.Add(Up, expert, _shape.UpPanels, PanelsPerTask, UpCounter(expert));
    }

    private void AddHidden(int expert)
    {
        if (_rows.Of(expert).Count > 0) _tasks.Add(Hidden, expert, HiddenPanels, PanelsPerTask, HiddenCounter(expert));
    }

    private void AddProducts(int expert)
    {
        if (NeedsInputs && _rows.Of(expert).Count > 0) _tasks.Add(Input, expert, _shape.DownPanels, PanelsPerTask, InputCounter(expert));
        if (_to.Gate is not null) _tasks.Add(UpWeights, expert, _shape.DownPanels, PanelsPerTask, InputCounter(expert));
        if (_to.Down is not null || _to.DownBias is not null) _tasks.Add(DownWeights, expert, HiddenPanels, PanelsPerTask, InputCounter(expert));
    }

    private static int GatherCounter(int expert) => 4 * expert;

    private static int UpCounter(int expert) => 4 * expert + 1;

    private static int HiddenCounter(int expert) => 4 * expert + 2;

    private static int InputCounter(int expert) => 4 * expert + 3;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void GatherRows(in PassTask task)
    {
        int first = _rows.Of(task.Expert).First;
        for (int row = first + task.First; row < first + task.End; row++)
        {
            long token = (long)_rows.Tokens[row] * _shape.Hidden;
            _weights[row] = _rows.Plan.Weights[_rows.Plan.Order[row]];
            byte* input = _inputs + row * _shape.InputStride, upstream = _upstream + row * _shape.InputStride;
            RowGather.Copy(_x + token, input, _shape, _weightsInput ? _weights[row] : 1);
            RowGather.Copy(_dy + token, upstream, _shape, 1);
            if (IsFloat32) continue;

            _outerInputs.Put(task.Expert, first, row, 0, (ushort*)input, _shape.Hidden);
            _outerUpstream.Put(task.Expert, first, row, 0, (ushort*)upstream, _shape.Hidden);
        }

        _tasks.Done(GatherCounter(task.Expert));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RunUp(in PassTask task, int worker)
    {
        if (!_tasks.WaitFor(GatherCounter(task.Expert))) return;
        var (first, count) = _rows.Of(task.Expert);
        for (int panel = task.First; panel < task.End; panel++)
        {
            byte* weights = source.Panel(task.Expert, panel, _scratch.Panel(worker), out var place);
            var next = panel + 1 < task.End ? source.Next(task.Expert, panel + 1) : NextPanel.None;
            var sink = new StoreSink(_preActivations, TileType.Float32, (long)first * _shape.KeptStride + panel * Columns, _shape.KeptStride, source.Bias(task.Expert, panel));
            PanelProduct.Run(kernel, new(_inputs + first * _shape.InputStride, _shape.InputStride, count), weights, _shape.UpDepth, place, next, _scratch.Tile(worker), sink);
        }

        _tasks.Done(UpCounter(task.Expert));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RunHidden(in PassTask task, int worker)
    {
        if (!_tasks.WaitFor(GatherCounter(task.Expert)) || !_tasks.WaitFor(UpCounter(task.Expert))) return;
        var (first, count) = _rows.Of(task.Expert);
        byte* panel = _scratch.Panel(worker);
        for (int number = task.First; number < task.End; number++)
        {
            int column = number * Columns;
            source.PackDownColumns(task.Expert, column, (float*)panel);
            var next = number + 1 < task.End ? source.NextDownColumns(task.Expert, column + Columns) : NextPanel.None;
            PanelProduct.Run(kernel, new(_upstream + first * _shape.InputStride, _shape.InputStride, count), panel, _shape.UpDepth, PanelPlace.Cache, next, _scratch.Tile(worker), new HiddenSink(this, task.Expert, first, number));
        }

        _tasks.Done(HiddenCounter(task.Expert));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RunInput(in PassTask task, int worker)
    {
        if (!_tasks.WaitFor(HiddenCounter(task.Expert))) return;
        var (first, count) = _rows.Of(task.Expert);
        float* panel = (float*)_scratch.Panel(worker);
        for (int number = task.First; number < task.End; number++)
        {
            int column = number * Columns;
            source.PackUpColumns(task.Expert, column, panel);
            var next = number + 1 < task.End ? source.NextUpColumns(task.Expert, column + Columns) : NextPanel.None;
            var sink = new StoreSink(_dInputs, TileType.Float32, (long)first * _shape.OutputStride + column, _shape.OutputStride);
            PanelProduct.Run(kernel, new(_dPreActivations + first * GradientStride, GradientStride, count), (byte*)panel, PanelPacker.Lanes(_shape.UpPanels * Columns, _shape.Type), PanelPlace.Cache, next, _scratch.Tile(worker), sink);
        }

        _tasks.Done(InputCounter(task.Expert));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RunUpWeights(in PassTask task, int worker)
    {
        var (first, count) = _rows.Of(task.Expert);
        if (count > 0 && !_tasks.WaitFor(HiddenCounter(task.Expert))) return;
        nint matrix = (nint)task.Expert * _shape.Intermediate * _shape.Hidden;
        OuterArguments arguments = default;
        (arguments.AStride, arguments.BStride, arguments.Depth) = (_outerGradients.Stride, _outerInputs.Stride, PanelPacker.Lanes(count, _shape.Type));
        arguments.C = _scratch.Tile(worker);
        for (int turns = 0; turns < _shape.UpPanels; turns += TurnsTogether)
        {
            for (int number = task.First; number < task.End; number++)
            {
                int column = number * Columns, columns = Math.Min(Columns, _shape.Hidden - column);
                arguments.B = _outerInputs.Of(task.Expert, first) + column * sizeof(float);
                for (int turn = turns; turn < Math.Min(turns + TurnsTogether, _shape.UpPanels); turn++)
                {
                    nint row = matrix + (nint)turn * 16 * _shape.Hidden + column;
                    arguments.A = _outerGradients.Of(task.Expert, first) + turn * Columns * sizeof(float);
                    OuterProduct.Run(outer, arguments, Columns, new WeightRows(At(_to.Gate, row), At(_to.Up, row), source.Type, 16, Math.Min(16, _shape.Intermediate - turn * 16), _shape.Hidden, columns));
                }
            }
        }

        _tasks.Done(InputCounter(task.Expert));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RunDownWeights(in PassTask task, int worker)
    {
        var (first, count) = _rows.Of(task.Expert);
        if (count > 0 && !_tasks.WaitFor(HiddenCounter(task.Expert))) return;
        if (task.First == 0 && _to.DownBias is not null) SumDownBias(task.Expert, first, count);
        if (_to.Down is not null)
        {
            OuterArguments arguments = default;
            (arguments.AStride, arguments.BStride, arguments.Depth) = (_outerUpstream.Stride, _outerHidden.Stride, PanelPacker.Lanes(count, _shape.Type));
            arguments.C = _scratch.Tile(worker);
            const int RowsTogether = TurnsTogether * Columns;
            for (int row = 0; row < _shape.Hidden; row += RowsTogether)
            {
                int rows = Math.Min(RowsTogether, _shape.Hidden - row);
                for (int number = task.First; number < task.End; number++)
                {
                    int column = number * Columns;
                    arguments.A = _outerUpstream.Of(task.Expert, first) + row * sizeof(float);
                    arguments.B = _outerHidden.Of(task.Expert, first) + column * sizeof(float);
                    void* to = At(_to.Down, ((nint)task.Expert * _shape.Hidden + row) * _shape.Intermediate + column);
                    OuterProduct.Run(outer, arguments, rows, new WeightRows(to, null, source.Type, rows, rows, _shape.Intermediate, Math.Min(Columns, _shape.Intermediate - column)));
                }
            }
        }

        _tasks.Done(InputCounter(task.Expert));
    }

    // a value of the gradients of matrices, which are of the matrices' type
    private void* At(void* gradients, nint value) => (byte*)gradients + value * source.ValueBytes;

    private void SumDownBias(int expert, int first, int count)
    {
        float* to = _to.DownBias + (nint)expert * _shape.Hidden;
        new Span<float>(to, _shape.Hidden).Clear();
        for (int row = first; row < first + count; row++)
        {
            RowSum.Add(_weightsInput ? 1 : _weights[row], _dy + (long)_rows.Tokens[row] * _shape.Hidden, TileType.Float32, to, _shape.Hidden);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CombineTokens(in PassTask task)
    {
        var plan = _rows.Plan;
        for (int token = task.First; token < task.End; token++)
        {
            int first = token * plan.Width;
            var rows = _rows.OfToken(token);
            for (int slot = 0; slot < rows.Length; slot++)
            {
                if (rows[slot] < 0) continue;

                if (!_tasks.WaitFor(HiddenCounter(plan.Experts[first + slot]))) return;
                if (NeedsInputs && !_tasks.WaitFor(InputCounter(plan.Experts[first + slot]))) return;
                if (_to.Weights is not null) _to.Weights[first + slot] = WeightGradient(token, rows[slot], plan.Experts[first + slot]);
            }

            var next = token + 1 < task.End ? _rows.OfToken(token + 1) : [];
            if (_to.Tokens is not null) RowSum.Of(rows, plan.Weights.AsSpan(first, plan.Width), _weightsInput, _dInputs, TileType.Float32, _shape.OutputStride, _to.Tokens + (long)token * _shape.Hidden, _shape.Hidden, next);
        }
    }

    // Σ dy · z; where weights scale inputs Σ dx · x
    private float WeightGradient(int token, int row, int expert)
    {
        int D = _shape.Hidden;
        if (_weightsInput) return RowSum.Dot(_dInputs + (long)row * _shape.OutputStride, _x + (long)token * D, D);

        float sum = 0;
        for (int panel = 0; panel < HiddenPanels; panel++) sum += _products[(long)row * HiddenPanels + panel];
        float* bias = source.DownBiasOf(expert);
        return bias is null ? sum : sum + RowSum.Dot(bias, _dy + (long)token * D, D);
    }

    /// <summary>Through the activation, 32 hidden columns at a time.</summary>
    private readonly struct HiddenSink(BackwardPass pass, int expert, int firstRow, int panel) : ITileSink
    {
        public void Take(float* tile, int first, int rows)
        {
            ref readonly var shape = ref pass._shape;
            int row = firstRow + first;
            float* products = stackalloc float[rows];
            new Span<float>(products, rows).Clear();
            for (int turn = 2 * panel; turn < Math.Min(2 * panel + 2, shape.UpPanels); turn++, tile += Turn)
            {
                if (pass.IsFloat32) pass.Differentiate(tile, rows, row, expert, turn, products);
                else pass.DifferentiateRounded(tile, rows, row, expert, firstRow, turn, products);
            }

            for (int i = 0; i < rows; i++) pass._products[(long)(row + i) * pass.HiddenPanels + panel] = products[i];
        }
    }

    private void Differentiate(float* upstream, int rows, int row, int expert, int turn, float* products)
    {
        nint hidden = turn * Turn * sizeof(float);
        var gradients = new TurnGradients
        {
            Hidden = _keptHidden is null ? null : (float*)(_keptHidden + row * _shape.HiddenStride + hidden),
            HiddenStride = _shape.HiddenStride / sizeof(float),
            Gradients = (float*)(_dPreActivations + row * GradientStride) + turn * Columns,
            GradientStride = _shape.KeptStride,
            Weighted = (float*)(_outerHidden.Of(expert, row) + hidden),
            WeightedStride = _outerHidden.Stride / sizeof(float),
        };
        Differentiate(upstream, rows, row, expert, turn, products, ref gradients);
    }

    // computed as float32, then rounded for each product
    private void DifferentiateRounded(float* upstream, int rows, int row, int expert, int firstRow, int turn, float* products)
    {
        float* values = stackalloc float[rows * (Columns + Turn)];
        ushort* rounded = stackalloc ushort[Turn];
        var gradients = new TurnGradients { Gradients = values, GradientStride = Columns, Weighted = values + rows * Columns, WeightedStride = Turn };
        Differentiate(upstream, rows, row, expert, turn, products, ref gradients);
        for (int i = 0; i < rows; i++)
        {
            ushort* to = (ushort*)(_dPreActivations + (row + i) * GradientStride) + turn * Columns;
            BFloat16Values.Round(new(values + i * Columns, Columns), new(to, Columns));
            _outerGradients.Put(expert, firstRow, row + i, turn * Columns, to, Columns);
            BFloat16Values.Round(new(values + rows * Columns + i * Turn, Turn), new(rounded, Turn));
            _outerHidden.Put(expert, firstRow, row + i, turn * Turn, rounded, Turn);
        }
    }

    private void Differentiate(float* upstream, int rows, int row, int expert, int turn, float* products, ref TurnGradients gradients)
    {
        gradients.Rows = rows;
        gradients.PreActivations = _preActivations + (long)row * _shape.KeptStride + turn * Columns;
        gradients.Stride = _shape.KeptStride;
        gradients.Upstream = upstream;
        gradients.Weights = _weightsInput ? null : _weights + row;
        gradients.Products = products;
        epilogue.Differentiate(gradients);
        if (_to.GateBias is null) return;

        // one task sums an expert's columns, row by row
        nint to = (nint)expert * _shape.Intermediate + turn * Turn;
        int columns = Math.Min(Turn, _shape.Intermediate - turn * Turn);
        RowSum.AddColumns(gradients.Gradients, gradients.GradientStride, rows, _to.GateBias + to, columns);
        RowSum.AddColumns(gradients.Gradients + Turn, gradients.GradientStride, rows, _to.UpBias + to, columns);
    }
}
