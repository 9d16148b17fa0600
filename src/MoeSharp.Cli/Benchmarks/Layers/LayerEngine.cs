namespace MoeSharp.Cli;

/// <summary>An implementation of the experts.</summary>
/// <param name="Name">What results call it.</param>
/// <param name="Library">What computes, with its version; asked for late, since it may load the library.</param>
/// <param name="Create">Makes it ready for the weights of a layer.</param>
internal sealed record LayerEngine(string Name, Func<string> Library, Func<MeasuredLayer, IExpertCompute> Create)
{
    /// <summary>The name of the library's own kernels.</summary>
    public const string Ours = "moesharp";

    /// <summary>Those of the library; the first is what the others are compared with.</summary>
    public static IReadOnlyList<LayerEngine> All { get; } =
    [
        Of(Ours, ExpertBackend.Fused, () => $"MoeSharp {VersionReport.ToolVersion}"),
        Of("torch-loop", ExpertBackend.Loop, () => $"libtorch {VersionReport.LibtorchVersion}"),
        Of("torch-grouped", ExpertBackend.Grouped, () => $"libtorch {VersionReport.LibtorchVersion}"),
    ];

    /// <summary>The passes that it has.</summary>
    public IReadOnlyList<LayerPass> Passes { get; init; } = Enum.GetValues<LayerPass>();

    /// <summary>The types that it computes.</summary>
    public IReadOnlyList<ProductType> Types { get; init; } = Enum.GetValues<ProductType>();

    /// <summary>How it holds the weights; null where that is the type of the case.</summary>
    public LayerQuantization? Quantization { get; init; }

    private static LayerEngine Of(string name, ExpertBackend backend, Func<string> library) => new(name, library, layer => ExpertBackends.Create(layer.Shape.ToOptions(backend)));
}

/// <summary>Weights of an engine that are not of the type of the case.</summary>
/// <param name="Dtype">What results call it: w4a8 is weights of 4 bits, activations of 8.</param>
/// <param name="BytesPerWeight">With the scales.</param>
/// <param name="Tolerance">How far outputs may be from those of the unquantized weights, as a share of the largest.</param>
internal sealed record LayerQuantization(string Dtype, double BytesPerWeight, double Tolerance)
{
    /// <summary>The type whose peak limits the products; null where none is measured.</summary>
    public ProductType? Multiplies { get; init; }
}
