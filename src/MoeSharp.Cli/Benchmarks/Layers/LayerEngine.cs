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

    private static LayerEngine Of(string name, ExpertBackend backend, Func<string> library) => new(name, library, layer => ExpertBackends.Create(layer.Shape.ToOptions(backend)));
}
