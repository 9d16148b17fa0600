using MoeSharp.Checkpoints;
using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

public sealed class FromCheckpointTests
{
    private static string Folder(string name) => Fixtures.Path("models", name);

    [Fact]
    public void FromCheckpoint_ALayer_HasItsWeightsAndIsInEvaluationMode()
    {
        using var scope = NewDisposeScope();
        using var layer = RoutedMoE.FromCheckpoint(Folder("mixtral"), 1);
        using var checkpoint = MoeCheckpoint.Open(Folder("mixtral"));

        var stored = checkpoint.Layer(1).Expert(5).Down;
        float[] values = new float[stored.Rows * stored.Columns];
        stored.Decode(0, stored.Rows, values);

        Assert.False(layer.training);
        Assert.Equal(stored.Rows, layer.Experts.Down.shape[1]);
        Assert.Equal(values, layer.Experts.Down[5].data<float>().ToArray());
    }

    [Fact]
    public void FromCheckpoint_InBFloat16_IsTheRoundedLayer()
    {
        using var scope = NewDisposeScope();
        using var full = RoutedAndSharedMoE.FromCheckpoint(Folder("qwen3_next"), 0);
        using var half = RoutedAndSharedMoE.FromCheckpoint(Folder("qwen3_next"), 0, new() { Type = ScalarType.BFloat16 });

        Assert.Equal(ScalarType.BFloat16, half.Routed.Experts.Up.dtype);
        Assert.True(half.Routed.Experts.Up.allclose(full.Routed.Experts.Up.to(bfloat16), rtol: 0, atol: 0));
        Assert.True(half.Shared.Down.allclose(full.Shared.Down.to(bfloat16), rtol: 0, atol: 0));
        Assert.True(half.Routed.Gate.Weight.allclose(full.Routed.Gate.Weight, rtol: 0, atol: 0));
    }

    [Fact]
    public void FromCheckpoint_ALayerWithBiasesAndAQuantizedOne_Load()
    {
        using var biased = RoutedMoE.FromCheckpoint(Folder("gpt_oss"), 0);
        using var quantized = RoutedMoE.FromCheckpoint(Folder("gpt_oss_published"), 0);

        Assert.True(biased.Experts.GateBias!.abs().max().item<float>() > 0);
        Assert.True(biased.Experts.Gate.allclose(quantized.Experts.Gate));
    }

    [Fact]
    public void FromCheckpoint_TheWrongKindOfLayer_SaysWhichToUse()
    {
        Assert.Contains("RoutedAndSharedMoE.FromCheckpoint", Assert.Throws<ArgumentException>(() => RoutedMoE.FromCheckpoint(Folder("deepseek_v3"), 1)).Message, StringComparison.Ordinal);
        Assert.Contains("RoutedMoE.FromCheckpoint", Assert.Throws<ArgumentException>(() => RoutedAndSharedMoE.FromCheckpoint(Folder("mixtral"), 1)).Message, StringComparison.Ordinal);
        Assert.Contains("these are: 1.", Assert.Throws<ArgumentException>(() => RoutedAndSharedMoE.FromCheckpoint(Folder("deepseek_v3"), 0)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FromCheckpoint_Cancelled_Stops()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();

        Assert.ThrowsAny<OperationCanceledException>(() => RoutedMoE.FromCheckpoint(Folder("mixtral"), 0, cancellationToken: stop.Token));
    }

    [Fact]
    public void FromCheckpoint_Progress_HearsOfEveryExpertOnce()
    {
        var heard = new Heard();

        using var layer = RoutedMoE.FromCheckpoint(Folder("olmoe"), 1, progress: heard);

        Assert.Equal(Enumerable.Range(1, 8), heard.Reports.Select(report => report.ExpertsDone).Order());
        Assert.All(heard.Reports, report => Assert.Equal((1, 8), (report.Layer, report.ExpertCount)));
    }

    private sealed class Heard : IProgress<LoadProgress>
    {
        public List<LoadProgress> Reports { get; } = [];

        public void Report(LoadProgress value)
        {
            lock (Reports) Reports.Add(value);
        }
    }
}
