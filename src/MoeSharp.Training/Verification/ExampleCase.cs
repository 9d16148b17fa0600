using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Training;

/// <summary>A case of a layer with parameters and inputs from a seed: an example of the format, and a test of another implementation.</summary>
internal sealed record ExampleCase
{
    private const double Spread = 0.5;

    /// <summary>A small layer in the manner of DeepSeek-V3.</summary>
    public static MoeOptions SmallDeepSeek { get; } = new()
    {
        HiddenSize = 32,
        Router = new()
        {
            ExpertCount = 16,
            TopK = 4,
            Score = ScoreFunction.Sigmoid,
            HasCorrectionBias = true,
            GroupLimit = new(4, 2, GroupRanking.TopTwoSum),
            Renormalize = Renormalization.Always,
            RenormalizeEpsilon = 1e-20,
            Scale = 2.5,
        },
        Experts = new() { IntermediateSize = 16 },
        Shared = new() { IntermediateSize = 16 },
        LoadBalance = [new() { Coefficient = 1e-4, Scores = BalanceScores.RouterNormalized, Epsilon = 1e-20 }],
        BalanceBias = new(1e-3),
    };

    public MoeOptions Options { get; init; } = SmallDeepSeek;

    public int Seed { get; init; }

    public int Batch { get; init; } = 2;

    public int Sequence { get; init; } = 12;

    /// <summary>Whether the case is of the router alone.</summary>
    public bool IsRouterOnly { get; init; }

    /// <summary>Writes the case, in training form.</summary>
    /// <exception cref="ArgumentException">The options have faults; the message lists all of them.</exception>
    public void Write(string path)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)(uint)Seed);
        string name = Path.GetFileName(path) is var file && file.EndsWith(CaseVerifier.CaseFileEnding, StringComparison.Ordinal) ? file[..^CaseVerifier.CaseFileEnding.Length] : file;
        var options = IsRouterOnly ? Options with { Shared = null } : Options;
        var hidden = randn(Batch, Sequence, options.HiddenSize, generator: generator);
        var call = Call(options.Router, generator);

        if (options.Shared is not null)
        {
            using var layer = new RoutedAndSharedMoE(options);
            CaseExporter.Write(path, Drawn(layer, generator), hidden, call, name);
            return;
        }

        using var routed = new RoutedMoE(options);
        if (IsRouterOnly) CaseExporter.WriteRouter(path, Drawn(routed, generator), hidden, call, name);
        else CaseExporter.Write(path, Drawn(routed, generator), hidden, call, name);
    }

    private RoutingCall Call(RouterOptions router, Generator generator) => new()
    {
        TokenIds = router.Select is Selection.TokenTable table ? randint(0, table.VocabularySize, [Batch, Sequence], ScalarType.Int64, generator: generator) : null,
        Experts = router.Select is Selection.Forced ? rand([Batch, Sequence, router.ExpertCount], generator: generator).argsort(-1).narrow(-1, 0, router.TopK) : null,
        Step = Seed,
    };

    /// <summary>Gives every float parameter and buffer values that matter, also those that start as zeros and ones.</summary>
    private static T Drawn<T>(T layer, Generator generator)
        where T : Module
    {
        using var _ = no_grad();
        foreach (var (name, values) in layer.state_dict().OrderBy(entry => entry.Key, StringComparer.Ordinal).Where(entry => entry.Value.is_floating_point()))
        {
            using var drawn = randn(values.shape, generator: generator) * Spread + (name.EndsWith("scale", StringComparison.Ordinal) ? 1 : 0);
            values.copy_(drawn);
        }

        layer.train();
        return layer;
    }
}
