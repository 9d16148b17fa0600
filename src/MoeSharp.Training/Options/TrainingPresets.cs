namespace MoeSharp.Training;

/// <summary>Named training options. The small ones run here; the large ones show the shapes of published models.</summary>
public static class TrainingPresets
{
    // scores differ by tenths, which a bias has to make up for within a run: the 0.001 of published models takes thousands of steps
    private const double FastBias = 0.01;

    /// <summary>Seconds on any machine: for tests, and to see everything once.</summary>
    public static TrainingOptions Tiny { get; } = new()
    {
        Model = new() { HiddenSize = 32, LayerCount = 2, HeadCount = 4, KeyValueHeadCount = 2, HeadSize = 8, ExpertCount = 4, TopK = 2, ExpertSize = 48, TieEmbeddings = true },
        Steps = 60,
        BatchSize = 8,
        SequenceLength = 64,
        LearningRate = 1e-2,
        WarmupSteps = 10,
        BiasUpdateRate = FastBias,
        VocabularySize = 512,
        EvaluateEvery = 20,
        EvaluateTokens = 2048,
        CheckpointEvery = 20,
    };

    /// <summary>
    /// Minutes on two cores: a model whose text reads like the documentation it learned from. In so short a time more text beats a wider model,
    /// and many small experts beat a few: after as many steps, 8 experts of 192, of which a token takes 2, end at 1.23 bits per byte where these
    /// end at 1.14, for a tenth more time.
    /// </summary>
    public static TrainingOptions Default { get; } = new()
    {
        Model = new() { HiddenSize = 128, LayerCount = 4, HeadCount = 2, KeyValueHeadCount = 1, HeadSize = 64, ExpertCount = 64, TopK = 8, ExpertSize = 64, TieEmbeddings = true },
        Steps = 1500,
        BatchSize = 8,
        SequenceLength = 256,
        LearningRate = 1.2e-2,
        WarmupSteps = 60,
        BiasUpdateRate = FastBias,
        MinimumLearningRateFactor = 0.05,
        VocabularySize = 4096,
        EvaluateEvery = 200,
        CheckpointEvery = 200,
    };

    /// <summary>The shape of OLMoE-1B-7B (Muennighoff et al. 2024, arXiv:2409.02060).</summary>
    public static TrainingOptions Olmoe1B7B { get; } = new()
    {
        Model = new() { HiddenSize = 2048, LayerCount = 16, HeadCount = 16, KeyValueHeadCount = 16, HeadSize = 128, ExpertCount = 64, TopK = 8, ExpertSize = 1024, NormalizeTopK = false },
        Steps = 100_000,
        BatchSize = 1,
        SequenceLength = 4096,
        Accumulation = 1024,
        LearningRate = 4e-4,
        WarmupSteps = 2500,
        VocabularySize = 50_304,
        EvaluateEvery = 1000,
        CheckpointEvery = 1000,
        Precision = ComputePrecision.BFloat16,
    };

    /// <summary>The shape of Qwen3-30B-A3B (Yang et al. 2025, arXiv:2505.09388).</summary>
    public static TrainingOptions Qwen330BA3B { get; } = new()
    {
        Model = new() { HiddenSize = 2048, LayerCount = 48, HeadCount = 32, KeyValueHeadCount = 4, HeadSize = 128, ExpertCount = 128, TopK = 8, ExpertSize = 768, RopeTheta = 1_000_000 },
        Steps = 100_000,
        BatchSize = 1,
        SequenceLength = 4096,
        Accumulation = 1024,
        LearningRate = 4e-4,
        WarmupSteps = 2500,
        VocabularySize = 151_936,
        EvaluateEvery = 1000,
        CheckpointEvery = 1000,
        LoadBalanceCoefficient = 0.001,
        Precision = ComputePrecision.BFloat16,
    };

    /// <summary>All presets by their names on the command line.</summary>
    public static IReadOnlyDictionary<string, TrainingOptions> All { get; } = new Dictionary<string, TrainingOptions>
    {
        ["tiny"] = Tiny,
        ["default"] = Default,
        ["olmoe-1b-7b"] = Olmoe1B7B,
        ["qwen3-30b-a3b"] = Qwen330BA3B,
    };
}
