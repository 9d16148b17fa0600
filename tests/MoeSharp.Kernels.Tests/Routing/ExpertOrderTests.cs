namespace MoeSharp.Kernels.Tests;

public sealed class ExpertOrderTests
{
    /// <summary>Few pairs, an odd number, and so many that several threads sort them.</summary>
    [Theory]
    [InlineData(0, 2)]
    [InlineData(1, 1)]
    [InlineData(511, 7)]
    [InlineData(512, 7)]
    [InlineData(2_049, 1)]
    [InlineData(8_191, 512)]
    [InlineData(20_001, 3)]
    [InlineData(65_537, 64)]
    public void Fill_PairsOfRandomExperts_SortsTheKeptOnesAsAStableSortDoes(int pairs, int experts)
    {
        var random = new Random(pairs);
        var plan = new RoutingPlan([.. Enumerable.Range(0, pairs).Select(_ => random.Next(-1, experts))], pairs, 1, experts);

        ExpertOrder.Fill(plan);

        Assert.Equal(Enumerable.Range(0, pairs).Where(pair => plan.Experts[pair] >= 0).OrderBy(pair => plan.Experts[pair]), plan.Order);
        Assert.Equal(Enumerable.Range(0, experts + 1).Select(expert => plan.Experts.Count(each => each >= 0 && each < expert)), plan.Offsets);
    }
}
