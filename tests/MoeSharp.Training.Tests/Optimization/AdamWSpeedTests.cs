using System.Diagnostics;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

/// <summary>Our step against libtorch's fused kernel, in turn; ratios below 1 are in our favour. The numbers are in docs/kernels/adamw.md.</summary>
public sealed class AdamWSpeedTests(ITestOutputHelper output)
{
    private static readonly AdamWOptions Options = new(0.9, 0.95, 1e-8, 0.1);

    [Fact(Explicit = true)]
    public void Step_StackedExperts_AgainstLibtorch() => Compare("[16, 1024, 512]", rounds: 41, [[16, 1024, 512]]);

    [Fact(Explicit = true)]
    public void Step_SixtyFourStackedExperts_AgainstLibtorch() => Compare("3 x [64, 512, 512]", rounds: 15, [[64, 512, 512], [64, 512, 512], [64, 512, 512]]);

    [Fact(Explicit = true)]
    public void Step_DefaultPreset_AgainstLibtorch()
    {
        using var scope = NewDisposeScope();
        using var model = new DecoderModel(TrainingPresets.Default.Model.ToDecoder(4096, 256, 0));
        Compare("the default preset", rounds: 201, [.. model.parameters().Select(parameter => parameter.shape)]);
    }

    private void Compare(string name, int rounds, long[][] shapes)
    {
        using var scope = NewDisposeScope();
        var ours = shapes.Select(shape => new Parameter(randn(shape))).ToArray();
        var theirs = ours.Select(parameter => new Parameter(parameter.detach().clone())).ToArray();
        var gradients = ours.Select(parameter => randn(parameter.shape)).ToArray();
        using var optimizer = new AdamW(ours, Options);
        var slots = theirs.Select(parameter => new AdamWSlot(parameter)).ToArray();

        var (mine, fused) = (new List<double>(), new List<double>());
        for (int round = -5; round < rounds; round++)
        {
            foreach (var (parameter, gradient) in ours.Concat(theirs).Zip(gradients.Concat(gradients))) parameter.grad = gradient;
            double a = round % 2 == 0 ? Time(() => optimizer.Step(1e-3)) : 0;
            double b = Time(() => Fused(slots));
            if (round % 2 != 0) a = Time(() => optimizer.Step(1e-3));
            if (round >= 0) (mine, fused) = ([.. mine, a], [.. fused, b]);
        }

        double values = shapes.Sum(shape => shape.Aggregate(1L, (x, y) => x * y));
        output.WriteLine($"{name}, {values / 1e6:F2} million values on {get_num_threads()} threads: ours {Median(mine) * 1e3:F3} ms ({values * 28 / Median(mine) / 1e9:F1} GB/s), libtorch {Median(fused) * 1e3:F3} ms, ratio {Median([.. mine.Zip(fused, (x, y) => x / y)]):F3}");
        foreach (var slot in slots) slot.Dispose();
    }

    private static void Fused(AdamWSlot[] slots)
    {
        using var scope = NewDisposeScope();
        foreach (var kind in slots.GroupBy(slot => slot.Parameter.Dimensions >= 2))
        {
            foreach (var slot in kind) slot.Steps.add_(1);
            FusedOperations.AdamW(
                [.. kind.Select(slot => slot.Parameter)], [.. kind.Select(slot => slot.Parameter.grad!)], [.. kind.Select(slot => slot.First)],
                [.. kind.Select(slot => slot.Second)], [.. kind.Select(slot => slot.Steps)], Options, 1e-3, kind.Key ? Options.WeightDecay : 0);
            foreach (var slot in kind) slot.Parameter.grad = null;
        }
    }

    private static double Time(Action action)
    {
        long started = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
