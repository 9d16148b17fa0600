using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class ModelReportTests
{
    [Theory]
    [InlineData("deepseek_v3_fp8")]
    [InlineData("gpt_oss_published")]
    [InlineData("minimax_m2_published")]
    public void ModelReport_ActiveParameters_AreAllButThoseOfExpertsNotChosen(string model)
    {
        var report = ModelReport.Read(Fixtures.Path("models", model));

        var router = report.MoeLayers.Single().Options.Router;
        long experts = report.Kinds.Single(kind => kind.Kind == TensorKind.Experts).Totals.Parameters;
        Assert.Equal(report.Parameters - experts + experts / router.ExpertCount * router.TopK, report.ActiveParameters);
    }

    [Fact]
    public void ModelReport_ExpertsOfAQuantizedModel_CountDecoded()
    {
        var report = ModelReport.Read(Fixtures.Path("models", "gpt_oss_published"));

        var (layers, options) = (report.MoeLayers[0].Layers.Count, report.MoeLayers[0].Options);
        long matrices = 3L * options.Experts.IntermediateSize * options.HiddenSize, biases = 2L * options.Experts.IntermediateSize + options.HiddenSize;
        Assert.Equal(layers * options.Router.ExpertCount * (matrices + biases), report.Kinds.Single(kind => kind.Kind == TensorKind.Experts).Totals.Parameters);
    }

    [Fact]
    public void ModelReport_Tensors_AreThoseOfTheFileInItsOrder()
    {
        string folder = Fixtures.Path("models", "deepseek_v3_fp8");
        using var file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));

        var report = ModelReport.Read(folder);

        Assert.Equal(file.Tensors.Values, report.Tensors.Select(tensor => tensor.Info));
        Assert.Equal(file.Tensors.Values.Sum(tensor => tensor.ByteCount), report.Totals.Bytes);
    }

    [Theory]
    [InlineData("0", "0")]
    [InlineData("0 1 2 5", "0-2, 5")]
    [InlineData("1 3", "1, 3")]
    [InlineData("1 3 5 7", "every 2. of 1-7")]
    [InlineData("0 3 6 9 10", "every 3. of 0-9, 10")]
    [InlineData("", "none")]
    public void LayerRanges_OfIndices_AreWords(string layers, string words) =>
        Assert.Equal(words, LayerRanges.Words([.. layers.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)]));

    public static TheoryData<RouterOptions, string> Routers => new()
    {
        { Of(8, 2), "softmax scores, top 2" },
        { Of(256, 8) with { Score = ScoreFunction.Sigmoid, HasCorrectionBias = true, GroupLimit = new(8, 4, GroupRanking.TopTwoSum), Renormalize = Renormalization.Always, Scale = 2.5 }, "sigmoid scores + correction bias, 4 of 8 groups by the sum of their best two, top 8, renormalised, x 2.5" },
        { Of(32, 4) with { HasLogitBias = true, Weights = WeightSource.SoftmaxOfSelected }, "logits + bias, top 4, weights by a softmax over the selected logits" },
        { Of(16, 1) with { Score = ScoreFunction.Sigmoid, ApplyTo = WeightTarget.Input }, "sigmoid scores, top 1, applied to the expert's input" },
        { Of(16, 4) with { Renormalize = Renormalization.PNorm, RenormalizePower = 1.5 }, "softmax scores, top 4, divided by their 1.5-norm" },
        { Of(16, 2) with { Select = new Selection.SparseMixer() }, "softmax scores, 2 by SparseMixer" },
        { Of(64, 6) with { Score = ScoreFunction.SqrtSoftplus, Select = new Selection.TokenTable(96) }, "sqrt(softplus) scores, 6 by a table of token ids" },
    };

    [Theory, MemberData(nameof(Routers))]
    public void RouterWords_OfARouter_FollowItsOrder(RouterOptions router, string words) => Assert.Equal(words, RouterWords.Of(router));

    private static RouterOptions Of(int experts, int topK) => new() { ExpertCount = experts, TopK = topK };
}
