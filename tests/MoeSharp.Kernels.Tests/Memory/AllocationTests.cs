namespace MoeSharp.Kernels.Tests;

/// <summary>Nothing is allocated once warm: held alone, as what passes leave for the next is shared by the whole process.</summary>
[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true), Collection(nameof(AllocationTests))]
public sealed class AllocationTests
{
    [Fact]
    public void Forward_OfExpertsOnceWarm_AllocatesNothing()
    {
        var problem = new SharedProblem(new ExpertSetup { Tokens = 70, Hidden = 45, Intermediate = 35, Pairs = PairPattern.WithGaps }, 50, isGated: true, limit: null);
        using var layer = problem.Layer(ExpertPrecision.Float32);
        float[] sums = new float[problem.Routed.X.Length];

        AssertAllocatesNothing(() => layer.Forward(problem.Routed.X, problem.Routed.Plan, sums));
    }

    [Fact]
    public void Forward_OfAGateOnceWarm_AllocatesNothing()
    {
        var problem = new GateProblem(Tokens: 150, Hidden: 75, Experts: 70, HasBias: true, new RouterInputNorm(1e-6, HasScale: true), Seed: 1);
        using var gate = problem.Gate();
        float[] logits = new float[problem.Tokens * problem.Experts];

        AssertAllocatesNothing(() => gate.Forward(problem.X, logits));
    }

    private static void AssertAllocatesNothing(Action call)
    {
        for (int i = 0; i < 3; i++) call();

        // one call may find that memory of the last one is gone, and take new: what was seen once, on a busy machine, was as large as that
        Assert.InRange(Enumerable.Range(0, 100).Count(_ => Allocates(call)), 0, 1);
    }

    private static bool Allocates(Action call)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        call();
        return GC.GetAllocatedBytesForCurrentThread() != before;
    }
}
