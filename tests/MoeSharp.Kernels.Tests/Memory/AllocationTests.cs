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

        // what every call allocated would be in each of these; what waking a thread takes of the runtime once, on a busy machine, is not
        Assert.Equal(0, Enumerable.Range(0, 5).Min(_ => AllocatedBy(20, call)));
    }

    private static long AllocatedBy(int calls, Action call)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < calls; i++) call();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
