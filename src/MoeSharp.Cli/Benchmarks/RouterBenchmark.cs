
namespace MoeSharp.Cli;

/// <summary>
/// Routing and plan (scores, selection, weights, sort by expert, offsets) by the kernel, against the same steps written with TorchSharp
/// operations: forward, and the gradient of the weights back to the logits.
/// </summary>
internal static class RouterBenchmark
{
    /// <summary>The shapes that are measured: experts, experts per token, groups (0 for none).</summary>
    public static IReadOnlyList<RouterShape> Shapes { get; } = [new(8, 2, 0), new(64, 8, 0), new(128, 8, 0), new(256, 8, 8), new(512, 10, 0)];

    public static IReadOnlyList<int> TokenCounts { get; } = [1, 1024, 4096];

    /// <summary>Measures every shape at every number of tokens, each result as soon as it is known.</summary>
    public static IEnumerable<RouterResult> Run(IEnumerable<RouterShape> shapes, IEnumerable<int> tokenCounts, int rounds, CancellationToken stop)
    {
        foreach (var shape in shapes)
        {
            foreach (int tokens in tokenCounts)
            {
                stop.ThrowIfCancellationRequested();
                using var steps = new RouterSteps(shape, tokens);
                yield return Compare(shape, tokens, "forward", rounds, steps.KernelForward, steps.LayerForward, steps.TorchForward, stop);
                yield return Compare(shape, tokens, "backward", rounds, steps.KernelBackward, null, steps.TorchBackward, stop);
            }
        }
    }

    private static RouterResult Compare(RouterShape shape, int tokens, string pass, int rounds, Action kernel, Action? layer, Action torch, CancellationToken stop)
    {
        var times = PairedTimes.Measure([kernel, torch, .. layer is null ? (Action[])[] : [layer]], rounds, stop);
        return new RouterResult(shape.Name, tokens, pass, times.Median(0), times.Median(1), layer is null ? null : times.Median(2), times.MedianRatio(1, 0), times.RatioOfBests(1, 0));
    }
}

/// <summary>A router to measure.</summary>
/// <param name="Experts">The number E of experts.</param>
/// <param name="TopK">The number K per token.</param>
/// <param name="Groups">Groups of experts, of which a token keeps half; 0 for none.</param>
internal sealed record RouterShape(int Experts, int TopK, int Groups)
{
    public string Name => Groups == 0 ? $"{Experts}/{TopK}" : $"{Experts}/{TopK} in {Groups} groups";

    /// <summary>Softmax routing, and with groups the routing of DeepSeek-V3.</summary>
    public RouterOptions ToOptions() => Groups == 0
        ? new() { ExpertCount = Experts, TopK = TopK, Renormalize = Renormalization.Always }
        : new()
        {
            ExpertCount = Experts,
            TopK = TopK,
            Score = ScoreFunction.Sigmoid,
            HasCorrectionBias = true,
            GroupLimit = new(Groups, Groups / 2, GroupRanking.TopTwoSum),
            Renormalize = Renormalization.Always,
            RenormalizeEpsilon = 1e-20,
            Scale = 2.5,
        };
}

/// <summary>One comparison.</summary>
/// <param name="Shape">Experts / experts per token.</param>
/// <param name="Tokens">The number of tokens.</param>
/// <param name="Pass">forward or backward.</param>
/// <param name="KernelMicroseconds">The median time of the kernel.</param>
/// <param name="TorchMicroseconds">The median time of the TorchSharp operations.</param>
/// <param name="LayerMicroseconds">The median time of the kernel as the layer calls it, tensors in and out; forward only.</param>
/// <param name="Speedup">The median over rounds of TorchSharp's time over the kernel's.</param>
/// <param name="SpeedupOfBests">The same of the best times: a cross-check.</param>
internal sealed record RouterResult(
    string Shape, int Tokens, string Pass, double KernelMicroseconds, double TorchMicroseconds, double? LayerMicroseconds, double Speedup, double SpeedupOfBests);
