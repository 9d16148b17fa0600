namespace MoeSharp.Cli;

/// <summary>The sizes of a layer to measure.</summary>
/// <param name="Name">The model that they are of.</param>
/// <param name="HiddenSize">The width D of a token.</param>
/// <param name="ExpertSize">The width H of an expert.</param>
/// <param name="Experts">The number E of experts.</param>
/// <param name="TopK">The number K of experts per token.</param>
internal sealed record LayerShape(string Name, int HiddenSize, int ExpertSize, int Experts, int TopK)
{
    /// <summary>The most tokens of a call that is measured.</summary>
    public const int MostTokens = 1 << 20;

    /// <summary>What is measured: four models whose weights fill no cache, and one whose weights fit in it.</summary>
    public static IReadOnlyList<LayerShape> All { get; } =
    [
        new("olmoe", 2048, 1024, 64, 8),
        new("qwen3-30b", 2048, 768, 128, 8),
        new("dsv2-lite", 2048, 1408, 64, 6),
        new("mixtral-s", 1024, 3584, 8, 2),
        new("tiny", 256, 512, 8, 2),
    ];

    /// <summary>The one whose calls are quickest.</summary>
    public static LayerShape Smallest => All[^1];

    /// <summary>Multiplications and additions of one row through gate, up and down.</summary>
    public double FlopsPerRow => 6.0 * HiddenSize * ExpertSize;

    /// <summary>The values of one expert's matrices.</summary>
    public double WeightsPerExpert => 3.0 * HiddenSize * ExpertSize;

    /// <summary>Whether calls of so many tokens can be measured.</summary>
    public static bool CanMeasure(IReadOnlyList<int> tokens) => tokens.Count > 0 && tokens.All(count => count is >= 1 and <= MostTokens);

    public MoeOptions ToOptions(ExpertBackend backend) => new()
    {
        HiddenSize = HiddenSize,
        Experts = new() { IntermediateSize = ExpertSize },
        Router = new() { ExpertCount = Experts, TopK = TopK },
        Backend = backend,
    };
}

/// <summary>How tokens spread over experts.</summary>
internal enum RoutingSuite
{
    /// <summary>Every expert gets as many rows as any other, give or take one.</summary>
    Balanced,

    /// <summary>The expert of rank r is drawn with a probability in proportion to 1 / r.</summary>
    Zipf,
}

/// <summary>The type of tokens and weights.</summary>
internal enum ProductType
{
    Fp32,
    Bf16,
}

/// <summary>What one call computes.</summary>
internal enum LayerPass
{
    /// <summary>The outputs, without gradient.</summary>
    Forward,

    /// <summary>The outputs and the gradients of tokens, routing weights and parameters.</summary>
    Train,
}
