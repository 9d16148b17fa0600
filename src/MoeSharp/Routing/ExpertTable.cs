using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The first table of <see cref="Selection.TokenTable"/>, until a checkpoint or a user gives another.</summary>
internal static class ExpertTable
{
    /// <summary>K different experts for each of V token ids [V, K], int64: even draws by the router's seed.</summary>
    public static Tensor Spread(int vocabularySize, RouterOptions router, Device? device)
    {
        var draw = new RoutingKernel(new MoeOptions
        {
            HiddenSize = 1,
            Experts = new() { IntermediateSize = 1 },
            Router = new() { ExpertCount = router.ExpertCount, TopK = router.TopK, Select = new Selection.Random(), Seed = router.Seed },
        });
        var plan = draw.Route(new RoutingInput { Logits = new float[vocabularySize * router.ExpertCount], Sequences = 1, SequenceLength = vocabularySize });
        using var experts = tensor(plan.Experts, ScalarType.Int64);
        return experts.view(vocabularySize, router.TopK).to(device ?? CPU);
    }
}
