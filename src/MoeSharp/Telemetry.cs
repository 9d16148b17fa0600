using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace MoeSharp;

/// <summary>
/// What the layers tell System.Diagnostics under the name "MoeSharp": spans of the four steps, and how each call of a layer routed its
/// tokens. Nothing is computed for an instrument that nobody listens to. The names, units and meanings are listed in docs/telemetry.md.
/// </summary>
/// <remarks>
/// Counters: <c>moesharp.tokens</c> ({token}), <c>moesharp.expert.load</c> ({token}, by <c>moesharp.expert</c>), <c>moesharp.dropped</c>
/// ({pair}). Histograms, a value per call with tokens: <c>moesharp.router.entropy</c> (nat), <c>moesharp.router.top_weight</c> (1),
/// <c>moesharp.expert.max_load</c> (1), <c>moesharp.expert.load_variation</c> (1), <c>moesharp.expert.dead</c> ({expert}),
/// <c>moesharp.dropped_share</c> (1).
/// </remarks>
internal static class Telemetry
{
    /// <summary>The name of the activity source and of the meter.</summary>
    public const string Name = "MoeSharp";

    private static readonly ActivitySource Source = new(Name);
    private static readonly Meter Meter = new(Name);
    private static readonly Counter<long> Tokens = Meter.CreateCounter<long>("moesharp.tokens", "{token}", "Tokens that went through MoE layers, without masked ones.");
    private static readonly Counter<long> Load = Meter.CreateCounter<long>("moesharp.expert.load", "{token}", "Tokens that chose an expert, by expert.");
    private static readonly Counter<long> Dropped = Meter.CreateCounter<long>("moesharp.dropped", "{pair}", "Choices that found their expert full.");

    private static readonly Measure[] Measures =
    [
        new("moesharp.router.entropy", "nat", "Mean entropy of the router's softmax.", load => load.Entropy),
        new("moesharp.router.top_weight", "1", "Mean over tokens of their largest weight.", load => load.MeanTopWeight),
        new("moesharp.expert.max_load", "1", "Largest load of an expert over the mean; 1 when even.", load => load.MaxOverMean),
        new("moesharp.expert.load_variation", "1", "Standard deviation of the experts' loads over their mean; 0 when even.", load => load.Variation),
        new("moesharp.expert.dead", "{expert}", "Experts that no token chose.", load => load.DeadExperts),
        new("moesharp.dropped_share", "1", "Share of choices that were dropped.", load => load.DroppedShare),
    ];

    /// <summary>A span over one step, to dispose at its end; null when nobody listens.</summary>
    public static Activity? Step(string name) => Source.HasListeners() ? Source.StartActivity(name) : null;

    /// <summary>Counts what one call of one layer routed.</summary>
    public static void Count(RoutingStatistics statistics)
    {
        if (Tokens.Enabled) Tokens.Add(statistics.TokenCount);
        if (Load.Enabled) CountLoad(statistics.Load);
        if (Dropped.Enabled) Dropped.Add(statistics.Load.Routed.Sum() - statistics.Load.Kept.Sum());
        foreach (var measure in Measures) measure.Record(statistics);
    }

    private static void CountLoad(RoutingLoad load)
    {
        foreach (var (expert, tokens) in load.Routed.Index()) Load.Add(tokens, new KeyValuePair<string, object?>("moesharp.expert", expert));
    }

    /// <summary>A number of a call's load, and the histogram that it goes to.</summary>
    private sealed class Measure(string name, string unit, string description, Func<RoutingLoad, double> of)
    {
        private readonly Histogram<double> _histogram = Meter.CreateHistogram<double>(name, unit, description);

        // without tokens there are no means
        public void Record(RoutingStatistics statistics)
        {
            if (_histogram.Enabled && statistics.TokenCount > 0) _histogram.Record(of(statistics.Load));
        }
    }
}
