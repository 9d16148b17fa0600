namespace MoeSharp.Cli;

/// <summary>What <c>moesharp bench layer</c> measures, and for how long.</summary>
internal sealed record LayerBenchmarkOptions
{
    public IReadOnlyList<LayerShape> Shapes { get; init; } = LayerShape.All;

    public IReadOnlyList<int> Tokens { get; init; } = [1, 16, 128, 1024];

    public IReadOnlyList<RoutingSuite> Suites { get; init; } = Enum.GetValues<RoutingSuite>();

    public IReadOnlyList<LayerPass> Passes { get; init; } = Enum.GetValues<LayerPass>();

    /// <summary>The types; those that the processor multiplies unless told otherwise.</summary>
    public IReadOnlyList<ProductType> Types { get; init; } = [.. Enum.GetValues<ProductType>().Where(PeakLoop.IsSupported)];

    /// <summary>The engines; the first one of all is always measured.</summary>
    public IReadOnlyList<LayerEngine> Engines { get; init; } = LayerEngine.All;

    /// <summary>The most rounds.</summary>
    public int Rounds { get; init; } = 15;

    /// <summary>The time for one shape, number of tokens and type, with what it takes to make the weights: after a first round of every case no further one begins that would not end in it.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromSeconds(45);

    /// <summary>Whether every thread stays on a processor of its own.</summary>
    public bool Pins { get; init; } = true;
}
