namespace MoeSharp.Kernels.Tests;

/// <summary>An <see cref="ExpertProblem"/> with an expert that every token passes through.</summary>
internal sealed unsafe class SharedProblem
{
    private readonly ExpertProblem _shared;

    public SharedProblem(ExpertSetup setup, int width, bool isGated, double? limit)
    {
        Setup = setup;
        Routed = new ExpertProblem(setup);
        _shared = new ExpertProblem(setup with { Experts = 1, Width = 1, Intermediate = width, Limit = limit, HasBias = false, ApplyTo = WeightTarget.Output, Pairs = PairPattern.All, Seed = setup.Seed + 1 });
        Routed.X.CopyTo(_shared.X, 0);
        Router = isGated ? [.. new ExpertProblem(setup with { Tokens = 1, Seed = setup.Seed + 2 }).X] : [];
        for (int token = 0; token < setup.Tokens; token++) _shared.Plan.Weights[token] = (float)WeightOf(token);
        Options = new MoeOptions
        {
            HiddenSize = setup.Hidden,
            Router = new() { ExpertCount = setup.Experts, TopK = Math.Max(1, setup.Width), ApplyTo = setup.ApplyTo },
            Experts = new() { IntermediateSize = setup.Intermediate, Activation = setup.Activation, Limit = setup.Limit, HasBias = setup.HasBias },
            Shared = new() { IntermediateSize = width, IsGated = isGated, Limit = limit },
        };
    }

    public ExpertSetup Setup { get; }

    public MoeOptions Options { get; }

    public ExpertProblem Routed { get; }

    public float[] Gate => _shared.Gate;

    public float[] Up => _shared.Up;

    public float[] Down => _shared.Down;

    /// <summary>[D], or empty.</summary>
    public float[] Router { get; }

    public float[][] SharedMatrices => [Gate, Up, Down, Router];

    /// <summary>The sums in double precision: those of the routed experts, and one expert whose routing weight is the sigmoid.</summary>
    public double[] Expected(TileType type) =>
        [.. ExpertReference.Of(Routed, type)[PassValue.Outputs].Zip(ExpertReference.Of(_shared, type)[PassValue.Outputs], (routed, shared) => routed + shared)];

    public ExpertLayer Layer(ExpertPrecision precision)
    {
        var layer = new ExpertLayer(Options, precision);
        LoadRouted(layer);
        layer.LoadShared(Gate, Up, Down, Router);
        return layer;
    }

    public void LoadRouted(ExpertLayer layer)
    {
        var (D, H, matrix) = (Setup.Hidden, Setup.Intermediate, Setup.Hidden * Setup.Intermediate);
        for (int e = 0; e < Setup.Experts; e++)
        {
            layer.Load(e, Routed.Gate.AsSpan(e * matrix, matrix), Routed.Up.AsSpan(e * matrix, matrix), Routed.Down.AsSpan(e * matrix, matrix));
            if (Setup.HasBias) layer.LoadBias(e, Routed.GateBias.AsSpan(e * H, H), Routed.UpBias.AsSpan(e * H, H), Routed.DownBias.AsSpan(e * D, D));
        }
    }

    /// <summary>A pass over matrices in float32, with the weights between guard pages.</summary>
    public ForwardPass Pass(GuardedArrays arrays, TileType products = TileType.Float32)
    {
        var shape = new ExpertShape(Setup.Hidden, Setup.Intermediate, products);
        var routed = new ExpertMatrices(shape, arrays.Of(Routed.Gate), arrays.Of(Routed.Up), arrays.Of(Routed.Down), Bias(Routed.GateBias), Bias(Routed.UpBias), Bias(Routed.DownBias));
        var shared = new ExpertMatrices(shape with { Intermediate = _shared.Setup.Intermediate }, arrays.Of(Gate), arrays.Of(Up), arrays.Of(Down), null, null, null);
        var panels = new SharedPanels(shared, GatedEpilogue.Create(Setup.Activation, _shared.Setup.Limit), Router.Length > 0 ? arrays.Of(Router) : null);
        return new ForwardPass(routed, KernelCatalog.Tile(products), GatedEpilogue.Create(Setup.Activation, Setup.Limit), Setup.ApplyTo, panels);

        float* Bias(float[]? values) => values is null ? null : arrays.Of(values);
    }

    private double WeightOf(int token)
    {
        if (Router.Length == 0) return 1;

        double logit = 0;
        for (int d = 0; d < Setup.Hidden; d++) logit += (double)Router[d] * Routed.X[token * Setup.Hidden + d];
        return 1 / (1 + Math.Exp(-logit));
    }
}
