using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace MoeSharp;

/// <summary>
/// What the layers tell System.Diagnostics under the name "MoeSharp": spans of the four steps, tokens and expert loads. Nothing is
/// computed for it unless somebody listens.
/// </summary>
internal static class Telemetry
{
    /// <summary>The name of the activity source and of the meter.</summary>
    public const string Name = "MoeSharp";

    private static readonly ActivitySource Source = new(Name);
    private static readonly Meter Meter = new(Name);
    private static readonly Counter<long> Tokens = Meter.CreateCounter<long>("moesharp.tokens", "{token}", "Tokens that went through MoE layers, without masked ones.");
    private static readonly Counter<long> Load = Meter.CreateCounter<long>("moesharp.expert.load", "{token}", "Tokens that chose an expert, by expert.");

    /// <summary>A span over one step, to dispose at its end; null when nobody listens.</summary>
    public static Activity? Step(string name) => Source.HasListeners() ? Source.StartActivity(name) : null;

    /// <summary>Counts what one call of one layer routed.</summary>
    public static void Count(RoutingStatistics statistics)
    {
        if (Tokens.Enabled) Tokens.Add(statistics.TokenCount);
        if (!Load.Enabled) return;

        foreach (var (expert, load) in statistics.Load.Routed.Index()) Load.Add(load, new KeyValuePair<string, object?>("moesharp.expert", expert));
    }
}
