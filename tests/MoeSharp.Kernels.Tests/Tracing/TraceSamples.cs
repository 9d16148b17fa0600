using CsCheck;

namespace MoeSharp.Kernels.Tests;

/// <summary>Routing traces that are drawn or made up.</summary>
internal static class TraceSamples
{
    /// <summary>A header of one to four layers and entries of them, with experts of one and of two bytes, unused slots and dropped choices.</summary>
    public static Gen<(RoutingTraceHeader Header, RoutingTraceEntry[] Entries)> Traces { get; } =
        from expertCounts in Gen.OneOf(Gen.Int[1, 8], Gen.Int[254, 257], Gen.Const(65535)).Array[1, 4]
        from seed in Gen.Int
        from count in Gen.Int[0, 8]
        select Draw(expertCounts, new Random(seed), count);

    /// <summary>Two layers of four and three experts, a step of each and one more entry with a dropped choice and a slot not used.</summary>
    public static RoutingTraceHeader SmallHeader { get; } = new("test", [new(0, 4, 2), new(2, 3, 1)]) { Metadata = new Dictionary<string, string> { ["model"] = "größer" } };

    public static RoutingTraceEntry[] SmallEntries { get; } =
    [
        Entry(0, 0, 2, [0, 1, 2, 0, 0, 3], [0.75f, 0.25f, 0.5f, 0.5f, 0.625f, 0.375f]),
        Entry(0, 2, 1, [2, 2, 0], [1, 1, 1]),
        Entry(200, 0, 2, [1, 0, 1, -1, 0, 1], [0.75f, 0.25f, 1, 0, 0.5f, 0.5f], [false, true, false, false, false, false]),
    ];

    /// <summary>An entry of one sequence.</summary>
    public static RoutingTraceEntry Entry(long step, int layer, int width, int[] experts, float[] weights, bool[]? dropped = null) => new()
    {
        Step = step,
        Layer = layer,
        Sequences = 1,
        SequenceLength = experts.Length / width,
        Width = width,
        Experts = experts,
        Weights = weights,
        Dropped = dropped,
    };

    public static void Write(string path, RoutingTraceHeader header, params IEnumerable<RoutingTraceEntry> entries)
    {
        using var writer = new RoutingTraceWriter(path, header);
        foreach (var entry in entries) writer.Append(entry);
        writer.Complete();
    }

    public static RoutingTraceEntry[] Read(string path, bool allowPartial = false)
    {
        using var reader = RoutingTraceReader.Open(path, allowPartial);
        return [.. reader.ReadEntries()];
    }

    /// <summary>Compares what is written: weights as halves, and no dropped choice the same as none given.</summary>
    public static bool AreEqual(RoutingTraceEntry a, RoutingTraceEntry b) =>
        (a.Step, a.Layer, a.Sequences, a.SequenceLength, a.Width) == (b.Step, b.Layer, b.Sequences, b.SequenceLength, b.Width)
        && a.Experts.Span.SequenceEqual(b.Experts.Span)
        && a.Weights.ToArray().Zip(b.Weights.ToArray()).All(pair => ((float)(Half)pair.First).Equals((float)(Half)pair.Second))
        && a.Weights.Length == b.Weights.Length
        && Enumerable.Range(0, a.Experts.Length).All(slot => a.IsDropped(0, slot) == b.IsDropped(0, slot));

    private static (RoutingTraceHeader, RoutingTraceEntry[]) Draw(int[] expertCounts, Random random, int count)
    {
        var layers = expertCounts.Select((experts, index) => new RoutingTraceLayer(index * 3, experts, random.Next(1, Math.Min(experts, 8) + 1))).ToArray();
        var header = new RoutingTraceHeader($"drawn \"{random.Next()}\"", layers) { Metadata = new Dictionary<string, string> { ["seed"] = $"{random.Next()}" } };

        return (header, [.. Enumerable.Range(0, count).Select(_ => Draw(layers[random.Next(layers.Length)], random))]);
    }

    private static RoutingTraceEntry Draw(RoutingTraceLayer layer, Random random)
    {
        var (sequences, length) = (random.Next(0, 4), random.Next(0, 6));
        int slots = sequences * length * layer.TopK;
        bool[] dropped = [.. Enumerable.Range(0, random.Next(2) * slots).Select(_ => random.Next(4) == 0)];

        return new()
        {
            Step = random.NextInt64(1L << random.Next(1, 63)),
            Layer = layer.Layer,
            Sequences = sequences,
            SequenceLength = length,
            Width = layer.TopK,
            Experts = Enumerable.Range(0, slots).Select(_ => random.Next(-1, layer.ExpertCount)).ToArray(),
            Weights = Enumerable.Range(0, slots).Select(_ => random.Next(20) == 0 ? float.NaN : random.NextSingle() * 3).ToArray(),
            Dropped = dropped,
        };
    }
}
