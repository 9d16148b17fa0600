namespace MoeSharp.Kernels.Tests;

public sealed class OptionsTests
{
    private static readonly MoeOptions Valid = new()
    {
        HiddenSize = 8,
        Router = new RouterOptions { ExpertCount = 8, TopK = 2 },
        Experts = new ExpertOptions { IntermediateSize = 4 },
    };

    [Fact]
    public void Validate_DefaultsAndEdges_Pass()
    {
        Valid.Validate();
        (Valid with { Router = Valid.Router with { TopK = 8 } }).Validate();
        (Valid with { Router = new RouterOptions { ExpertCount = 1, TopK = 1, Scale = -1 } }).Validate();
        (Valid with { Router = Valid.Router with { TopK = 4, GroupLimit = new GroupLimit(4, 2, GroupRanking.TopTwoSum) } }).Validate();
        (Valid with { Router = Valid.Router with { GroupLimit = new GroupLimit(8, 2, GroupRanking.Max) } }).Validate();
        (Valid with { Experts = Valid.Experts with { Limit = 7 }, Shared = new SharedExpertOptions { IntermediateSize = 1, Limit = 1e-3 } }).Validate();
    }

    public static TheoryData<MoeOptions, string> Faults => new()
    {
        { Valid with { HiddenSize = 0 }, "HiddenSize is 0; set it to 1 or more." },
        { Valid with { Backend = (ExpertBackend)9 }, "Backend is 9; choose one of Auto, Fused, Grouped, Loop, Dense." },
        { Valid with { Recompute = (Recompute)9 }, "Recompute is 9; choose one of None, Activation, All." },
        { Valid with { Router = Valid.Router with { TopK = 9 } }, "TopK is 9 but there are 8 experts; set TopK to 1..8." },
        { Valid with { Router = Valid.Router with { TopK = 0 } }, "TopK is 0 but there are 8 experts; set TopK to 1..8." },
        { Valid with { Router = Valid.Router with { Score = (ScoreFunction)7 } }, "Score is 7; choose one of Softmax, Sigmoid, SqrtSoftplus, Identity." },
        { Valid with { Router = Valid.Router with { Weights = (WeightSource)7 } }, "Weights is 7; choose one of Score, SoftmaxOfSelected." },
        { Valid with { Router = Valid.Router with { Renormalize = (Renormalization)7 } }, "Renormalize is 7; choose one of Never, Always, PNorm." },
        { Valid with { Router = Valid.Router with { ApplyTo = (WeightTarget)7 } }, "ApplyTo is 7; choose one of Output, Input." },
        { Valid with { Router = Valid.Router with { RenormalizeEpsilon = -1 } }, "RenormalizeEpsilon is -1; set it to 0 or more." },
        { Valid with { Router = Valid.Router with { RenormalizeEpsilon = double.NaN } }, "RenormalizeEpsilon is NaN; set it to 0 or more." },
        { Valid with { Router = Valid.Router with { Scale = double.NaN } }, "Scale is NaN; set it to a finite number." },
        { WithGroups(3, 1, GroupRanking.Max), "GroupLimit.Groups is 3; it must divide the 8 experts evenly." },
        { WithGroups(0, 1, GroupRanking.Max), "GroupLimit.Groups is 0; it must divide the 8 experts evenly." },
        { WithGroups(4, 5, GroupRanking.Max), "GroupLimit.Keep is 5; set it to 1..4." },
        { WithGroups(4, 2, (GroupRanking)7), "GroupLimit.By is 7; choose one of Max, TopTwoSum, TopSum." },
        { WithGroups(8, 2, GroupRanking.TopTwoSum), "GroupLimit ranks by the best two of a group, but a group has 1 expert; use fewer groups or rank by Max." },
        { WithGroups(8, 1, GroupRanking.Max), "GroupLimit keeps 1 groups of 1 experts, fewer than TopK = 2; keep more groups." },
        { Valid with { Router = Valid.Router with { GroupLimit = new GroupLimit(2, 1, GroupRanking.TopSum) { Count = 5 } } }, "GroupLimit.Count is 5, but a group has 4 experts; set it to 1..4." },
        { Valid with { Router = Valid.Router with { RenormalizePower = 0 } }, "RenormalizePower is 0; set it above 0." },
        { Valid with { Router = Valid.Router with { InputJitter = 1 } }, "InputJitter is 1; set it to 0 or more and below 1." },
        { Valid with { Router = Valid.Router with { LogitJitter = -1 } }, "LogitJitter is -1; set it to 0 or more and below 1." },
        { Valid with { Router = Valid.Router with { InputNorm = new(0) } }, "InputNorm.Epsilon is 0; set it above 0." },
        { WithSelection(new Selection.TokenTable(0)), "Select.VocabularySize is 0; set it to the number of token ids, 1 or more." },
        { WithSelection(new Selection.SparseMixer(0)), "Select.Jitter of SparseMixer is 0; set it above 0." },
        { Valid with { Router = Valid.Router with { TopK = 3, Select = new Selection.SparseMixer() } }, "SparseMixer selects two experts, but TopK is 3; set TopK to 2." },
        { WithSelection(new Selection.Sinkhorn(Tolerance: 0)), "Select.Tolerance of Sinkhorn is 0; set it above 0." },
        { WithSelection(new Selection.QuantileBalance(1)), "Select.Ema of QuantileBalance is 1; set it to 0 or more and below 1." },
        { WithSelection(new Selection.ExpertChoice()), "ExpertChoice takes its number of tokens per expert from Dispatch.Capacity, which is null; set it." },
        { WithSelection(new Selection.Random()) with { Router = Valid.Router with { Select = new Selection.Random(), HasCorrectionBias = true } }, "HasCorrectionBias moves a top-k, but Select is Random; set it to false, or Select to TopK." },
        { Valid with { Router = Valid.Router with { Select = new Selection.RoundRobin(), GroupLimit = new(2, 1, GroupRanking.Max) } }, "GroupLimit restricts a top-k, but Select is RoundRobin; set GroupLimit to null, or Select to TopK." },
        { WithCapacity(new()), "Dispatch.Capacity has neither Factor nor Slots; set one of them." },
        { WithCapacity(new() { Factor = 1, Slots = 2 }), "Dispatch.Capacity has both Factor and Slots; set one of them to null." },
        { WithCapacity(new() { Factor = 0 }), "Dispatch.Capacity.Factor is 0; set it above 0." },
        { WithCapacity(new() { Factor = 1, Subsequences = 2, Scope = CapacityScope.Batch }), "Dispatch.Capacity.Subsequences is 2, but its Scope is Batch; only a sequence is cut into parts." },
        { Valid with { Dispatch = new() { RaggedBuffer = new(3, 1) } }, "Dispatch.RaggedBuffer.Shards is 3; it must divide the 8 experts evenly." },
        { Valid with { Dispatch = new() { RaggedBuffer = new(2, 1), Capacity = new() { Slots = 1 } } }, "Dispatch has both a Capacity and a RaggedBuffer; set one of them to null." },
        { Valid with { LoadBalance = [new() { Coefficient = -1 }] }, "LoadBalance.Coefficient is -1; set it to 0 or more." },
        { Valid with { LoadBalance = [new() { Coefficient = 1, PoolsLayers = true }] }, "LoadBalance pools layers, but its Scope is Sequence; only a batch is pooled." },
        { Valid with { ZLossCoefficient = double.NaN }, "ZLossCoefficient is NaN; set it to 0 or more." },
        { Valid with { BalanceBias = new(0.1) }, "BalanceBias moves the correction bias, but Router.HasCorrectionBias is false; set it to true." },
        { Valid with { Router = Valid.Router with { HasCorrectionBias = true }, BalanceBias = new(0) }, "BalanceBias.Rate is 0; set it above 0, or BalanceBias to null." },
        { Valid with { Experts = Valid.Experts with { IntermediateSize = 0 } }, "Experts.IntermediateSize is 0; set it to 1 or more." },
        { Valid with { Experts = Valid.Experts with { Activation = (ExpertActivation)9 } }, "Experts.Activation is 9; choose one of Silu, Gelu, GeluTanh, Relu, Relu2, GptOss." },
        { Valid with { Experts = Valid.Experts with { Limit = 0 } }, "Experts.Limit is 0; set it above 0, or to null for no limit." },
        { Valid with { Experts = Valid.Experts with { Limit = double.PositiveInfinity } }, $"Experts.Limit is {double.PositiveInfinity}; set it above 0, or to null for no limit." },
        { Valid with { Shared = new SharedExpertOptions { IntermediateSize = 0 } }, "Shared.IntermediateSize is 0; set it to 1 or more." },
        { Valid with { Shared = new SharedExpertOptions { IntermediateSize = 1, Limit = -1 } }, "Shared.Limit is -1; set it above 0, or to null for no limit." },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void Validate_OneFault_SaysWhatWasGivenAndWhatIsAllowed(MoeOptions options, string message)
    {
        var error = Assert.Throws<ArgumentException>(options.Validate);

        Assert.Equal($"MoeOptions: {message}", error.Message);
    }

    [Fact]
    public void Validate_SeveralFaults_ListsAllInOneMessage()
    {
        var options = Valid with
        {
            HiddenSize = -2,
            Router = Valid.Router with { TopK = 9, Scale = double.NaN },
            Experts = Valid.Experts with { IntermediateSize = 0 },
        };

        var error = Assert.Throws<ArgumentException>(options.Validate);

        string[] lines = error.Message.Split(Environment.NewLine);
        Assert.Equal("MoeOptions has 4 faults:", lines[0]);
        Assert.Equal(
            ["  - HiddenSize is -2; set it to 1 or more.", "  - TopK is 9 but there are 8 experts; set TopK to 1..8.",
             "  - Scale is NaN; set it to a finite number.", "  - Experts.IntermediateSize is 0; set it to 1 or more."],
            lines[1..]);
    }

    [Fact]
    public void Validate_RouterAlone_NamesItself()
    {
        var error = Assert.Throws<ArgumentException>(new RouterOptions { ExpertCount = 0, TopK = 0 }.Validate);

        Assert.StartsWith("RouterOptions has 2 faults:", error.Message, StringComparison.Ordinal);
    }

    private static MoeOptions WithGroups(int groups, int keep, GroupRanking by) =>
        Valid with { Router = Valid.Router with { GroupLimit = new GroupLimit(groups, keep, by) } };

    private static MoeOptions WithSelection(Selection select) => Valid with { Router = Valid.Router with { Select = select } };

    private static MoeOptions WithCapacity(CapacityOptions capacity) => Valid with { Dispatch = new() { Capacity = capacity } };
}
