using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Runs the fused passes of one layer on tensors.</summary>
internal sealed unsafe class FusedKernels(MoeOptions options)
{
    private readonly ExpertShape _shape = new(options.HiddenSize, options.Experts.IntermediateSize, TileType.Float32);
    private readonly GatedEpilogue _epilogue = GatedEpilogue.Create(options.Experts.Activation, options.Experts.Limit);
    private readonly WeightTarget _applyTo = options.Router.ApplyTo;
    private readonly Recompute _recompute = options.Recompute;
    private nint _moved;

    /// <summary>Room for what is kept of a plan's rows; no element where all is computed again.</summary>
    public Tensor EmptyKept(RoutingPlan plan, TileType type) => ReusedMemory.Empty([KeptRows.Count(_shape, plan.Order.Length, RecomputeOf(type))]);

    /// <summary>The matrices and biases of experts: float32 or bfloat16, the biases float32.</summary>
    /// <param name="inputs">The tensors.</param>
    /// <param name="type">What the products read.</param>
    public ExpertMatrices Matrices(FusedInputs inputs, TileType type) => new(
        _shape with { Type = type, Intermediate = (int)inputs.Gate.size(-2) }, Start(inputs.Gate), Start(inputs.Up), Start(inputs.Down), Start(inputs.GateBias), Start(inputs.UpBias), Start(inputs.DownBias),
        TypeOf(inputs.Gate));

    /// <summary>
    /// Moves the matrices to huge pages, unless they lie where they did the last time. A panel of the way back is a line of every row, and each
    /// row has a page of its own: looking up those of libtorch's memory took a tenth of a step and more.
    /// </summary>
    public void MoveToHugePages(FusedInputs inputs)
    {
        var first = (nint)Start(inputs.Gate);
        if (Interlocked.Exchange(ref _moved, first) == first) return;

        foreach (var matrix in new[] { inputs.Gate, inputs.Up, inputs.Down }) HugePages.Collapse(Start(matrix), matrix.numel() * matrix.ElementSize);
    }

    /// <summary>The shared expert as a pass reads it.</summary>
    /// <param name="source">Its panels.</param>
    /// <param name="epilogue">Its activation.</param>
    /// <param name="router">[1, D] in float32, or null.</param>
    public static SharedPanels Shared(PanelSource source, GatedEpilogue epilogue, Tensor? router) => new(source, epilogue, Start(router));

    /// <summary>The sums [T, D] of the tokens' experts, with the shared one's output where there is one, of the tokens' type: float32 or bfloat16.</summary>
    public Tensor Forward(PanelSource source, Tensor tokens, RoutingPlan plan, Tensor? kept, SharedPanels? shared = null)
    {
        var sums = ReusedMemory.Empty([plan.TokenCount, _shape.Hidden], tokens.dtype);
        var pass = new ForwardPass(source, KernelCatalog.Tile(source.Shape.Type), _epilogue, _applyTo, shared);
        var memory = PassMemory.Rent();
        pass.Run(WorkerPool.Shared, memory, Rows(tokens), plan, Rows(sums), Kept(kept, plan, source.Shape.Type));
        memory.Return();
        return sums;
    }

    /// <summary>Fills <paramref name="targets"/>, those that are not null, with gradients.</summary>
    public void Backward(ExpertMatrices source, FusedInputs inputs, RoutingPlan plan, Tensor kept, Tensor upstream, FusedInputs targets)
    {
        var to = new ExpertGradients
        {
            Tokens = Start(targets.Tokens),
            Weights = Start(targets.Weights),
            Gate = Start(targets.Gate),
            Up = Start(targets.Up),
            Down = Start(targets.Down),
            GateBias = Start(targets.GateBias),
            UpBias = Start(targets.UpBias),
            DownBias = Start(targets.DownBias),
        };
        var type = source.Shape.Type;
        var pass = new BackwardPass(source, KernelCatalog.Tile(type), KernelCatalog.Outer(type), _epilogue, _applyTo);
        var memory = PassMemory.Rent();
        pass.Run(WorkerPool.Shared, memory, Start(inputs.Tokens), plan, Kept(kept, plan, type), Start(upstream), to);
        memory.Return();
    }

    private TokenRows Rows(Tensor values) => new(Start(values), TypeOf(values), _shape.Hidden);

    private static TileType TypeOf(Tensor values) => values.dtype == ScalarType.BFloat16 ? TileType.BFloat16 : TileType.Float32;

    private KeptRows Kept(Tensor? kept, RoutingPlan plan, TileType type) => new(Start(kept), _shape, plan.Order.Length, RecomputeOf(type));

    // the way back does not read hidden rows that were rounded
    private Recompute RecomputeOf(TileType type) => type == TileType.BFloat16 && _recompute == Recompute.None ? Recompute.Activation : _recompute;

    private static float* Start(Tensor? values) => (float*)TensorValues.Start(values);
}
