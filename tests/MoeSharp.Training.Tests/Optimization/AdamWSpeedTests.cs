using System.Diagnostics;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

/// <summary>Our step against libtorch's fused kernel, in turn; ratios below 1 are in our favour. The numbers are in docs/kernels/adamw.md.</summary>
public sealed class AdamWSpeedTests(ITestOutputHelper output)
{
    private static readonly AdamWOptions Options = new(0.9, 0.95, 1e-8, 0.1);
    private static readonly AdamWOptions BFloat16Moments = Options with { Moments = MomentPrecision.BFloat16 };
    private static readonly long[][] SixtyFour = [[64, 512, 512], [64, 512, 512], [64, 512, 512]];

    [Fact(Explicit = true)]
    public void Step_StackedExperts_AgainstLibtorch() => Compare("[16, 1024, 512]", Options, rounds: 101, [[16, 1024, 512]]);

    [Fact(Explicit = true)]
    public void Step_SixtyFourStackedExperts_AgainstLibtorch() => Compare("3 x [64, 512, 512]", Options, rounds: 31, SixtyFour);

    [Fact(Explicit = true)]
    public void Step_BFloat16Moments_AgainstLibtorchWithFloat32() => Compare("3 x [64, 512, 512], bfloat16 moments", BFloat16Moments, rounds: 31, SixtyFour);

    [Fact(Explicit = true)]
    public void Step_DefaultPreset_AgainstLibtorch()
    {
        using var scope = NewDisposeScope();
        using var model = new DecoderModel(TrainingPresets.Default.Model.ToDecoder(4096, 256, 0));
        Compare("the default preset", Options, rounds: 301, [.. model.parameters().Select(parameter => parameter.shape)]);
    }

    // each round is 32 steps and, for those that wait, the flush at their end
    [Theory(Explicit = true)]
    [InlineData(64)]
    [InlineData(32)]
    [InlineData(8)]
    [InlineData(2)]
    public void Step_IdleExperts_DeferredAgainstDense(int busy)
    {
        using var scope = NewDisposeScope();
        var shape = new MoeOptions { HiddenSize = 512, Experts = new() { IntermediateSize = 512 }, Router = new() { ExpertCount = 64, TopK = 1 } };
        using RoutedMoE first = new(shape), second = new(shape);
        using AdamW lazy = new(first.Experts.parameters(), Options), dense = new(second.Experts.parameters(), Options);
        lazy.DeferIdleExperts([first]);
        var gradients = Enumerable.Range(0, 64 / busy).Select(turn => Gradient(turn * busy, busy)).ToArray();

        var pairs = InTurn(rounds: 4, () => Take(lazy), () => Take(dense));

        output.WriteLine($"{busy} of 64 experts busy, {get_num_threads()} threads: deferred {Median(pairs.Select(pair => pair.Ours)) / 32 * 1e3:F2} ms a step, ratio to all at once {Ratio(pairs):F3}");

        void Take(AdamW optimizer)
        {
            for (int step = 0; step < 32; step++)
            {
                foreach (var slot in optimizer.Slots) slot.Parameter.grad = gradients[step % gradients.Length];
                optimizer.Step(1e-3);
            }

            optimizer.Flush();
        }

        static Tensor Gradient(int start, int count)
        {
            var gradient = zeros(64, 512, 512);
            gradient.narrow(0, start, count).normal_();
            return gradient;
        }
    }

    // as in the middle of a run: after 1,000 steps
    private void Compare(string name, AdamWOptions options, int rounds, long[][] shapes)
    {
        using var scope = NewDisposeScope();
        var ours = shapes.Select(shape => new Parameter(randn(shape))).ToArray();
        var theirs = ours.Select(parameter => new Parameter(parameter.detach().clone())).ToArray();
        var gradients = ours.Select(parameter => randn(parameter.shape)).ToArray();
        using var optimizer = new AdamW(ours, options);
        var slots = theirs.Select(parameter => new AdamWSlot(parameter)).ToArray();
        foreach (var slot in optimizer.Slots.Concat(slots)) slot.Steps.fill_(1000);

        var pairs = InTurn(rounds, () => optimizer.Step(1e-3), () => Fused(slots), () =>
        {
            foreach (var (parameter, gradient) in ours.Concat(theirs).Zip(gradients.Concat(gradients))) parameter.grad = gradient;
        });

        double values = shapes.Sum(shape => shape.Aggregate(1L, (x, y) => x * y));
        output.WriteLine($"{name}, {values / 1e6:F2} million values on {get_num_threads()} threads: ours {Median(pairs.Select(pair => pair.Ours)) * 1e3:F3} ms, libtorch {Median(pairs.Select(pair => pair.Theirs)) * 1e3:F3} ms, ratio {Ratio(pairs):F3}");
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

    // pairs see the same machine; who goes first alternates
    private static List<(double Ours, double Theirs)> InTurn(int rounds, Action ours, Action theirs, Action? before = null)
    {
        var pairs = new List<(double, double)>();
        for (int round = -2; round < rounds; round++)
        {
            before?.Invoke();
            double first = Time(round % 2 == 0 ? ours : theirs), second = Time(round % 2 == 0 ? theirs : ours);
            if (round >= 0) pairs.Add(round % 2 == 0 ? (first, second) : (second, first));
        }

        return pairs;
    }

    private static double Time(Action action)
    {
        long started = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static double Ratio(IEnumerable<(double Ours, double Theirs)> pairs) => Median(pairs.Select(pair => pair.Ours / pair.Theirs));

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
