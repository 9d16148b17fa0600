using System.Diagnostics;
using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>
/// Expert compute by every engine on the same tokens, weights and routing, in turn within each round, beside the limits of the machine in
/// the same round. A ratio and a share are medians of the rounds' own: whatever slows the machine down slows all of a round.
/// </summary>
internal sealed class LayerBenchmark(LayerBenchmarkOptions options, LayerLimitMeter limits, Action<string> say, CancellationToken stop)
{
    private static readonly TimeSpan Wake = TimeSpan.FromMilliseconds(12);       // wakes the threads of an engine
    private static readonly TimeSpan Long = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(30);
    private const int FewRounds = 3;        // fewer say little
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(250);    // compiled anew in the background, once it was called often

    /// <summary>Measures every case, and gives its results as soon as they are known.</summary>
    /// <exception cref="MoeException">Two engines do not compute the same.</exception>
    public IEnumerable<LayerResult> Run()
    {
        foreach (var type in options.Types) CompileAll(type);
        foreach (var shape in options.Shapes)
        {
            foreach (var type in options.Types)
            {
                stop.ThrowIfCancellationRequested();
                say($"{shape.Name}, {Word(type)}: {Quantity.Bytes((long)(shape.WeightsPerExpert * shape.Experts) * (type == ProductType.Bf16 ? 2 : 4))} of weights");
                var clock = Stopwatch.StartNew();
                using var layer = new MeasuredLayer(shape, type);
                foreach (int tokens in options.Tokens)
                {
                    foreach (var result in Measure(layer, tokens, clock)) yield return result;
                    clock.Restart();
                }
            }
        }
    }

    private List<LayerResult> Measure(MeasuredLayer layer, int tokens, Stopwatch clock)
    {
        LayerCase[] cases = [.. options.Suites.SelectMany(suite => options.Passes.Select(pass => new LayerCase(layer, tokens, suite, pass, options.Engines)))];
        try
        {
            HoldAgainstEachOther(cases[0]);
            foreach (var one in cases) MeasureRound(one);
            while (Next(cases, options.Time - clock.Elapsed) is { } one) MeasureRound(one);

            Say(layer, tokens, cases, clock.Elapsed);
            return [.. cases.SelectMany(Results)];
        }
        finally
        {
            foreach (var one in cases.Reverse()) one.Dispose();
        }
    }

    // the case with the fewest rounds, of those whose next one ends in time: slow cases get fewer than fast ones
    private LayerCase? Next(LayerCase[] cases, TimeSpan left) =>
        cases.Where(one => one.Rounds.Count <= options.Rounds && one.Rounds[^1].Duration < left).MinBy(one => one.Rounds.Count);

    private void Say(MeasuredLayer layer, int tokens, LayerCase[] cases, TimeSpan time)
    {
        string rounds = string.Join(", ", cases.Select(one => $"{Word(one.Suite)} {Word(one.Pass)} {one.Counted.Count}"));
        string advice = cases.Any(one => one.Counted.Count < Math.Min(FewRounds, options.Rounds)) ? $"; for {FewRounds} or more choose one --suite or --pass, or more --seconds" : "";
        say($"{layer.Shape.Name}, {Word(layer.Type)}, {Quantity.Counted(tokens, "token", "tokens")}: rounds of {rounds}, in {time.TotalSeconds:F0} s{advice}");
    }

    // on the smallest layer, where calls are quick: on a large one it would take minutes
    private void CompileAll(ProductType type)
    {
        using var layer = new MeasuredLayer(LayerShape.Smallest, type);
        foreach (var (tokens, pass) in options.Tokens.SelectMany(tokens => options.Passes.Select(pass => (tokens, pass))))
        {
            using var one = new LayerCase(layer, tokens, options.Suites[0], pass, options.Engines);
            for (int engine = 0; engine < one.Engines.Count; engine++)
            {
                stop.ThrowIfCancellationRequested();
                long start = Stopwatch.GetTimestamp();
                do one.RunOnce(engine); while (Stopwatch.GetElapsedTime(start) < WarmUp);
            }
        }
    }

    private void HoldAgainstEachOther(LayerCase one)
    {
        using var scope = NewDisposeScope();
        var expected = one.Output(0);
        for (int engine = 1; engine < one.Engines.Count; engine++)
        {
            stop.ThrowIfCancellationRequested();
            Check(one, engine, (one.Output(engine) - expected).abs().max().item<float>() / expected.abs().max().item<float>());
        }
    }

    private static void Check(LayerCase one, int engine, double difference)
    {
        double tolerance = one.Engines[engine].Quantization?.Tolerance ?? (one.Type == ProductType.Bf16 ? 3e-2 : 1e-4);
        if (!(difference < tolerance))
            throw new MoeException($"{one.Engines[engine].Name} and {one.Engines[0].Name} differ by {difference:G3} of the largest output ({one.Shape.Name}, {one.Tokens} tokens, {Word(one.Type)}); expected less than {tolerance}.");
    }

    private void MeasureRound(LayerCase one)
    {
        long start = Stopwatch.GetTimestamp();
        double[] seconds = new double[one.Engines.Count], bytes = new double[seconds.Length];
        double?[] flops = new double?[seconds.Length];
        for (int i = 0; i < seconds.Length; i++)
        {
            stop.ThrowIfCancellationRequested();
            int engine = (i + one.Rounds.Count) % seconds.Length;
            Thread.Sleep(PairedTimes.Pause);
            seconds[engine] = MedianOfSlice(one, engine);
            Thread.Sleep(PairedTimes.Pause);
            (flops[i], bytes[i]) = (limits.Peak(one.Type), limits.Read());
        }

        one.Rounds.Add(new LayerRound(
            seconds, flops[0] is null ? null : PairedTimes.MedianOf([.. flops.OfType<double>()]), PairedTimes.MedianOf(bytes), Stopwatch.GetElapsedTime(start)));
    }

    private static double MedianOfSlice(LayerCase one, int engine)
    {
        long start = Stopwatch.GetTimestamp();
        var first = one.RunOnce(engine);
        if (first >= Long) return first.TotalSeconds;      // waking is a small part of it

        while (Stopwatch.GetElapsedTime(start) < Wake) one.RunOnce(engine);

        var times = new List<double>();
        start = Stopwatch.GetTimestamp();
        do times.Add(one.RunOnce(engine).TotalSeconds); while (Stopwatch.GetElapsedTime(start) < Slice);
        return PairedTimes.MedianOf([.. times]);
    }

    private static IEnumerable<LayerResult> Results(LayerCase one)
    {
        for (int i = 0; i < one.Engines.Count; i++)
        {
            var (index, engine) = (i, one.Engines[i]);
            double[] times = [.. one.Counted.Select(round => round.Seconds[index])];
            bool hasPeak = one.Counted[0].Peak is not null && engine.Quantization is null or { Multiplies: not null };      // measured in one round, measured in all
            yield return new LayerResult(
                Word(one.Suite), one.Shape.Name, one.Tokens, engine.Quantization?.Dtype ?? Word(one.Type), Word(one.Pass), engine.Name,
                MedianMs: PairedTimes.MedianOf(times) * 1e3,
                BestMs: times.Min() * 1e3,
                PeakShare: hasPeak ? Median(round => one.Flops / round.Seconds[index] / round.Peak!.Value) : null,
                ReadShare: Median(round => one.Bytes(engine) / round.Seconds[index] / round.Read),
                Slowdown: Median(round => round.Seconds[index] / round.Seconds[0]),
                Rounds: times.Length);
        }

        double Median(Func<LayerRound, double> value) => PairedTimes.MedianOf([.. one.Counted.Select(value)]);
    }

    private static string Word<T>(T choice)
        where T : struct, Enum => Training.ChoiceWord.Of(choice.ToString());
}
