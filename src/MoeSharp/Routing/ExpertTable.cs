using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The first table of <see cref="Selection.TokenTable"/>, until a checkpoint or a user gives another.</summary>
internal static class ExpertTable
{
    private const int IdsAtOnce = 1024;

    /// <summary>K different experts for each of V token ids [V, K], int64: even draws by the router's seed.</summary>
    public static Tensor Spread(int vocabularySize, RouterOptions router, Device? device)
    {
        var draw = new RoutingKernel(new MoeOptions
        {
            HiddenSize = 1,
            Experts = new() { IntermediateSize = 1 },
            Router = new() { ExpertCount = router.ExpertCount, TopK = router.TopK, Select = new Selection.Random(), Seed = router.Seed },
        });
        using var scope = NewDisposeScope();
        var table = empty([vocabularySize, router.TopK], int64);
        var experts = TensorValues.Of<long>(table);
        float[] logits = new float[Math.Min(vocabularySize, IdsAtOnce) * router.ExpertCount];       // which such a draw does not look at
        for (int first = 0; first < vocabularySize; first += IdsAtOnce)
        {
            int count = Math.Min(IdsAtOnce, vocabularySize - first);
            var plan = draw.Route(new RoutingInput { Logits = logits.AsSpan(0, count * router.ExpertCount), Sequences = 1, SequenceLength = count, Step = first });
            for (int i = 0; i < plan.Experts.Length; i++) experts[first * router.TopK + i] = plan.Experts[i];
        }

        return table.to(device ?? CPU).MoveToOuterDisposeScope();
    }
}
