using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

public sealed class TelemetryTests
{
    private static readonly MoeOptions Options = new()
    {
        HiddenSize = 6,
        Router = new RouterOptions { ExpertCount = 3, TopK = 2 },
        Experts = new ExpertOptions { IntermediateSize = 5 },
    };

    [Fact]
    public void Forward_ListenedTo_ShowsItsSteps()
    {
        using var parent = new Activity("test").Start();
        var steps = new List<string>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "MoeSharp",
            Sample = (ref ActivityCreationOptions<ActivityContext> options) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == parent.TraceId) steps.Add(activity.OperationName); // other tests run beside this one
            },
        };
        ActivitySource.AddActivityListener(listener);
        using var scope = NewDisposeScope();
        using var loop = new RoutedMoE(Options with { Backend = ExpertBackend.Loop });
        using var fused = new RoutedMoE(Options with { Backend = ExpertBackend.Fused });

        loop.call(ones(2, 6));
        fused.call(ones(2, 6));

        Assert.Equal(["route", "permute", "experts", "combine", "route", "experts"], steps);
    }

    [Fact]
    public void Forward_ListenedTo_CountsTokensAndLoads()
    {
        long tokens = 0;
        var load = new long[3];
        using var listener = Listen(name => name is "moesharp.tokens" or "moesharp.expert.load", (name, value, tags) =>
        {
            if (name == "moesharp.tokens") tokens += (long)value;
            else load[(int)tags[0].Value!] += (long)value;
        });
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);

        var output = layer.forward(ones(4, 6), new RoutingCall { TokenMask = tensor(new[] { true, true, true, false }) });

        Assert.Equal(3, tokens);
        Assert.Equal(TensorAssert.Values(output.Statistics.TokensPerExpert), load.Select(count => (double)count));
    }

    [Fact]
    public void Forward_ListenedTo_ReportsWhatTheLoadSays()
    {
        var measured = new Dictionary<string, double>();
        using var listener = Listen(name => name is not ("moesharp.tokens" or "moesharp.expert.load"), (name, value, _) => measured.Add(name, value));
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options with { Dispatch = new() { Capacity = new() { Slots = 2 } } });

        var load = layer.call(ones(4, 6)).Statistics.Load;       // four equal tokens: two experts have four each, and drop two

        Assert.Equal(
            new Dictionary<string, double>
            {
                ["moesharp.dropped"] = 4,
                ["moesharp.dropped_share"] = 0.5,
                ["moesharp.expert.dead"] = 1,
                ["moesharp.expert.max_load"] = 1.5,
                ["moesharp.expert.load_variation"] = load.Variation,
                ["moesharp.router.entropy"] = load.Entropy,
                ["moesharp.router.top_weight"] = load.MeanTopWeight,
            },
            measured);
        Assert.Equal(Math.Sqrt(0.5), load.Variation, 1e-12);
        Assert.InRange(load.Entropy, 0.5, Math.Log(3));
    }

    [Fact]
    public void Forward_WithoutTokens_ReportsNoMeans()
    {
        var measured = new List<(string Name, double Value)>();
        using var listener = Listen(name => name != "moesharp.expert.load", (name, value, _) => measured.Add((name, value)));
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);

        layer.call(ones(0, 6));

        Assert.Equal([("moesharp.tokens", 0), ("moesharp.dropped", 0)], measured);
    }

    [Fact]
    public void Instruments_OfTheMeter_AreThoseOfTheDocumentation()
    {
        var instruments = new List<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (instrument.Meter.Name == "MoeSharp") instruments.Add($"| `{instrument.Name}` | {instrument.GetType().Name.Split('`')[0].ToLowerInvariant()} | {instrument.Unit} |");
            },
        };
        using (var layer = new RoutedMoE(Options)) layer.call(ones(1, 6)).Hidden.Dispose();       // the meter exists

        listener.Start();

        var rows = File.ReadLines(Path.Combine(Fixtures.RepositoryRoot, "docs", "telemetry.md")).Where(line => line.StartsWith("| `moesharp.", StringComparison.Ordinal));
        Assert.Equal(rows.Select(row => row[..(row.IndexOf('|', row.IndexOf('|', row.IndexOf('|', 1) + 1) + 1) + 1)]).Order(StringComparer.Ordinal), instruments.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Count_NobodyListens_ComputesNothing()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);
        var statistics = layer.call(ones(4, 6)).Statistics;
        Telemetry.Count(statistics);        // compiled

        long before = GC.GetAllocatedBytesForCurrentThread();
        Telemetry.Count(statistics);

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());       // the variation and the tags of a load would take memory
    }

    [Fact]
    public void Count_OneInstrumentListenedTo_ReportsThatAlone()
    {
        var measured = new List<string>();
        using var listener = Listen(name => name == "moesharp.expert.dead", (name, _, _) => measured.Add(name));
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);

        layer.call(ones(4, 6));

        Assert.Equal(["moesharp.expert.dead"], measured);
    }

    [Fact]
    public void Constructor_WithALogger_SaysWhichBackendComputes()
    {
        var logger = new ListLogger();

        using var layer = new RoutedMoE(Options, logger: logger);

        Assert.Equal(["1: Expert compute of 3 experts: backend fused (asked for Auto)"], logger.Lines);
    }

    /// <summary>Hears the chosen instruments, of this thread only: other tests run beside this one.</summary>
    private static MeterListener Listen(Func<string, bool> isWanted, Action<string, double, KeyValuePair<string, object?>[]> hear)
    {
        var thread = Environment.CurrentManagedThreadId;
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == "MoeSharp" && isWanted(instrument.Name)) self.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Hear(instrument, value, tags));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Hear(instrument, value, tags));
        listener.Start();
        return listener;

        void Hear(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (Environment.CurrentManagedThreadId == thread) hear(instrument.Name, value, tags.ToArray());
        }
    }

    private sealed class ListLogger : ILogger
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Add($"{eventId.Id}: {formatter(state, exception)}");
    }
}
