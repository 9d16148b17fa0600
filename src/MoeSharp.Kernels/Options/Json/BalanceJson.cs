using System.Text.Json;

namespace MoeSharp;

/// <summary>The fields of "load_balance", "z_loss" and "balance_bias".</summary>
internal static class BalanceJson
{
    public static LoadBalanceOptions ReadLoss(ObjectReader loss) => new()
    {
        Coefficient = loss.Number("coefficient"),
        Scope = loss.Word("scope", OptionWords.LossScope),
        Scores = loss.Word("scores", OptionWords.LossScores),
        Counts = loss.Word("counts", OptionWords.Counted),
        PoolsLayers = loss.Word("layers", OptionWords.Layers),
        Epsilon = loss.Number("epsilon", 0),
    };

    public static BalanceBiasOptions ReadBias(ObjectReader bias) => new(bias.Number("rate"))
    {
        Rule = bias.Word("rule", OptionWords.Rule),
        Counts = bias.Word("counts", OptionWords.Counted),
        IsFrozen = bias.Flag("frozen"),
    };

    /// <summary>The coefficient of "z_loss"; 0 without one.</summary>
    public static double ReadZLoss(ObjectReader layer) => layer.ObjectOr("z_loss", 0.0, loss => loss.Number("coefficient"));

    /// <summary>Nothing, one loss as an object, or several as a list.</summary>
    public static void WriteLosses(Utf8JsonWriter json, IReadOnlyList<LoadBalanceOptions> losses)
    {
        if (losses.Count <= 1)
        {
            json.WriteObject("load_balance", losses.SingleOrDefault(), WriteLoss);
            return;
        }

        json.WriteStartArray("load_balance");
        foreach (var loss in losses)
        {
            json.WriteStartObject();
            WriteLoss(json, loss);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    public static void WriteZLoss(Utf8JsonWriter json, double coefficient)
    {
        if (coefficient == 0) return;

        json.WriteStartObject("z_loss");
        json.WriteNumber("coefficient", coefficient);
        json.WriteEndObject();
    }

    public static void WriteBias(Utf8JsonWriter json, BalanceBiasOptions options)
    {
        json.WriteNumber("rate", options.Rate);
        json.WriteWord("rule", OptionWords.Rule, options.Rule);
        json.WriteWord("counts", OptionWords.Counted, options.Counts);
        json.WriteFlag("frozen", options.IsFrozen);
    }

    private static void WriteLoss(Utf8JsonWriter json, LoadBalanceOptions options)
    {
        json.WriteNumber("coefficient", options.Coefficient);
        json.WriteWord("scope", OptionWords.LossScope, options.Scope);
        json.WriteWord("scores", OptionWords.LossScores, options.Scores);
        json.WriteWord("counts", OptionWords.Counted, options.Counts);
        json.WriteWord("layers", OptionWords.Layers, options.PoolsLayers);
        json.WriteUnless(0.0, "epsilon", options.Epsilon);
    }
}
