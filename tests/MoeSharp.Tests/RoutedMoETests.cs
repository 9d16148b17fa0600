using TorchSharp;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

public sealed class RoutedMoETests
{
    private static readonly MoeOptions Options = new()
    {
        HiddenSize = 6,
        Router = new RouterOptions { ExpertCount = 4, TopK = 2 },
        Experts = new ExpertOptions { IntermediateSize = 5 },
    };

    [Fact]
    public void RoutedMoE_AllParts_HaveTheirNamesInTheStateDict()
    {
        using var scope = NewDisposeScope();
        var options = Options with
        {
            Router = Options.Router with { HasLogitBias = true, HasCorrectionBias = true, HasPerExpertScale = true },
            Experts = Options.Experts with { HasBias = true },
            Shared = new SharedExpertOptions { IntermediateSize = 3, IsGated = true },
        };

        using var layer = new RoutedAndSharedMoE(options);

        Assert.Equal(
            ["routed.gate.weight", "routed.gate.bias", "routed.experts.gate", "routed.experts.up", "routed.experts.down",
             "routed.experts.gate_bias", "routed.experts.up_bias", "routed.experts.down_bias",
             "routed.router.per_expert_scale", "routed.router.correction_bias",
             "shared.gate", "shared.up", "shared.down", "shared.router"],
            layer.state_dict().Keys.Order(StringComparer.Ordinal), new SameSet());
    }

    [Fact]
    public void RoutedMoE_MovedToAnotherType_UsesTheNewParameters()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);
        var before = layer.Experts.Gate;

        layer.to(bfloat16);
        var output = layer.call(randn(3, 6, bfloat16));

        Assert.NotSame(before, layer.Experts.Gate);
        Assert.Equal(bfloat16, layer.Experts.Gate.dtype);
        Assert.Equal(bfloat16, layer.Gate.Weight.dtype);
        Assert.Equal(bfloat16, output.Hidden.dtype);
    }

    private sealed class SameSet : IEqualityComparer<IEnumerable<string>>
    {
        public bool Equals(IEnumerable<string>? x, IEnumerable<string>? y) => x!.ToHashSet().SetEquals(y!);

        public int GetHashCode(IEnumerable<string> obj) => 0;
    }
}
