using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
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
    public void Forward_ListenedTo_ShowsItsFourSteps()
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
        using var layer = new RoutedMoE(Options);

        layer.call(ones(2, 6));

        Assert.Equal(["route", "permute", "experts", "combine"], steps);
    }

    [Fact]
    public void Forward_ListenedTo_CountsTokensAndLoads()
    {
        var thread = Environment.CurrentManagedThreadId;
        long tokens = 0;
        var load = new long[3];
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == "MoeSharp") self.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            if (Environment.CurrentManagedThreadId != thread) return;
            if (instrument.Name == "moesharp.tokens") tokens += value;
            else load[(int)tags[0].Value!] += value;
        });
        listener.Start();
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);

        var output = layer.forward(ones(4, 6), new RoutingCall { TokenMask = tensor(new[] { true, true, true, false }) });

        Assert.Equal(3, tokens);
        Assert.Equal(TensorAssert.Values(output.Statistics.TokensPerExpert), load.Select(count => (double)count));
    }

    [Fact]
    public void Constructor_WithALogger_SaysWhichBackendComputes()
    {
        var logger = new ListLogger();

        using var layer = new RoutedMoE(Options, logger: logger);

        Assert.Equal(["1: Expert compute of 3 experts: backend loop (asked for Auto)"], logger.Lines);
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
