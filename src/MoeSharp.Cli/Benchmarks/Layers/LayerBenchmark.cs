using System.Diagnostics;
using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>
/// Expert compute by every engine on the same tokens, weights and routing, in turn within each round, beside the limits of the machine in
/// the same round. A ratio and a share are medians of the rounds' own: whatever slows the machine down slows all of a round.
/// </summary>
internal sealed class LayerBenchmark(LayerBenchmarkOptions options, LayerLimitMeter limits, Action<string> say, CancellationToken stop)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(15);      // lets the threads of the engine before go to sleep
    private static readonly TimeSpan Wake = TimeSpan.FromMilliseconds(12);       // wakes those of this one
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(30);
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(250);    // compiled anew in the background, once it was called often

    /// <summary>Measures every case, and gives its results as soon as they are known.</summary>
    /// <exception cref="MoeException">Two engines do not compute the same.</exception>
    public IEnumerable<LayerResult> Run()
    {
        foreach (var shape in options.Shapes)
        {
            foreach (var type in options.Types)
            {
                stop.ThrowIfCancellationRequested();
                say($"{shape.Name}, {Word(type)}: {Quantity.Bytes((long)(shape.WeightsPerExpert * shape.Experts) * (type == ProductType.Bf16 ? 2 : 4))} of weights");
                using var layer = new MeasuredLayer(shape, type);
                foreach (var result in options.Tokens.SelectMany(tokens => Measure(layer, tokens))) yield return result;
            }
        }
    }

    private List<LayerResult> Measure(MeasuredLayer layer, int tokens)
    {
        LayerCase[] cases = [.. options.Suites.SelectMany(suite => options.Passes.Select(pass => new LayerCase(layer, tokens, suite, pass, options.Engines)))];
        try
        {
            var clock = Stopwatch.StartNew();
            foreach (var one in cases.Where(one => one.Suite == options.Suites[0])) Prepare(one);
            TimeSpan last = TimeSpan.Zero;
            for (int round = 0; round < options.Rounds && (round == 0 || clock.Elapsed + last < options.Time); round++)
            {
                var before = clock.Elapsed;
                foreach (var one in cases) one.Rounds.Add(MeasureRound(one, round));
                last = clock.Elapsed - before;
            }

            say($"{layer.Shape.Name}, {Word(layer.Type)}, {Quantity.Counted(tokens, "token", "tokens")}: {Quantity.Counted(cases[0].Rounds.Count, "round", "rounds")} in {clock.Elapsed.TotalSeconds:F0} s");
            return [.. cases.SelectMany(Results)];
        }
        finally
        {
            foreach (var one in cases.Reverse()) one.Dispose();
        }
    }

    /// <summary>Runs every engine until it is compiled, and holds the outputs against each other.</summary>
    private void Prepare(LayerCase one)
    {
        using var scope = NewDisposeScope();
        Tensor? expected = null;
        for (int engine = 0; engine < one.Engines.Count; engine++)
        {
            stop.ThrowIfCancellationRequested();
            long start = Stopwatch.GetTimestamp();
            if (one.Pass == options.Passes[0])
            {
                var output = one.Output(engine);
                expected ??= output;
                Check(one, engine, (output - expected).abs().max().item<float>() / expected.abs().max().item<float>());
            }

            if (one.Pass == LayerPass.Train) one.RunOnce(engine);
            while (Stopwatch.GetElapsedTime(start) < WarmUp) one.RunOnce(engine);
        }
    }

    private static void Check(LayerCase one, int engine, double difference)
    {
        double tolerance = one.Type == ProductType.Bf16 ? 3e-2 : 1e-4;
        if (!(difference < tolerance))
            throw new MoeException($"{one.Engines[engine].Name} and {one.Engines[0].Name} differ by {difference:G3} of the largest output ({one.Shape.Name}, {one.Tokens} tokens, {Word(one.Type)}); expected less than {tolerance}.");
    }

    private LayerRound MeasureRound(LayerCase one, int round)
    {
        double[] seconds = new double[one.Engines.Count], bytes = new double[seconds.Length];
        double?[] flops = new double?[seconds.Length];
        for (int i = 0; i < seconds.Length; i++)
        {
            stop.ThrowIfCancellationRequested();
            int engine = (i + round) % seconds.Length;
            Thread.Sleep(Pause);
            seconds[engine] = MedianOfSlice(one, engine);
            Thread.Sleep(Pause);
            (flops[i], bytes[i]) = (limits.Peak(one.Type), limits.Read());
        }

        return new LayerRound(seconds, flops[0] is null ? null : PairedTimes.MedianOf([.. flops.OfType<double>()]), PairedTimes.MedianOf(bytes));
    }

    private static double MedianOfSlice(LayerCase one, int engine)
    {
        long start = Stopwatch.GetTimestamp();
        bool isLong = one.Rounds.Count > 0 && one.Rounds[^1].Seconds[engine] > Wake.TotalSeconds;     // then waking is a small part of it
        while (!isLong && Stopwatch.GetElapsedTime(start) < Wake) one.RunOnce(engine);

        var times = new List<double>();
        start = Stopwatch.GetTimestamp();
        do times.Add(one.RunOnce(engine).TotalSeconds); while (Stopwatch.GetElapsedTime(start) < Slice);
        return PairedTimes.MedianOf([.. times]);
    }

    private static IEnumerable<LayerResult> Results(LayerCase one)
    {
        for (int i = 0; i < one.Engines.Count; i++)
        {
            int engine = i;
            double[] times = [.. one.Rounds.Select(round => round.Seconds[engine])];
            yield return new LayerResult(
                Word(one.Suite), one.Shape.Name, one.Tokens, Word(one.Type), Word(one.Pass), one.Engines[engine].Name,
                MedianMs: PairedTimes.MedianOf(times) * 1e3,
                BestMs: times.Min() * 1e3,
                PeakShare: one.Rounds[0].Peak is null ? null : Median(round => one.Flops / round.Seconds[engine] / round.Peak!.Value),      // supported in one round, supported in all
                ReadShare: Median(round => one.Bytes / round.Seconds[engine] / round.Read),
                Slowdown: Median(round => round.Seconds[engine] / round.Seconds[0]),
                Rounds: times.Length);
        }

        double Median(Func<LayerRound, double> value) => PairedTimes.MedianOf([.. one.Rounds.Select(value)]);
    }

    private static string Word<T>(T choice)
        where T : struct, Enum => Training.ChoiceWord.Of(choice.ToString());
}
