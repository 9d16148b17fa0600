using System.Text;
using System.Text.Json;

namespace MoeSharp;

/// <summary>
/// <see cref="MoeOptions"/> as JSON: the "layer" object of reference cases, also for configuration files. Reading is strict: unknown and
/// repeated fields, wrong types, unknown words and fields that contradict each other are errors that name the field by its path.
/// </summary>
public static class MoeOptionsJson
{
    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
    private static readonly JsonWriterOptions Indented = new() { Indented = true, NewLine = "\n" };

    /// <summary>
    /// Reads the options of a layer from text; comments and trailing commas are allowed. What values mean together is not checked: call
    /// <see cref="MoeOptions.Validate"/>.
    /// </summary>
    /// <param name="json">The JSON object.</param>
    /// <param name="source">Where the text comes from, for messages.</param>
    /// <returns>
    /// The options, with the format's defaults for what is absent. A token table without its size has a
    /// <see cref="Selection.TokenTable.VocabularySize"/> of 0, for the caller to fill in.
    /// </returns>
    /// <exception cref="MoeException">The text is not JSON, or the object has faults; one message lists all of them.</exception>
    public static MoeOptions Read(string json, string source)
    {
        ArgumentNullException.ThrowIfNull(json);

        using var document = Parse(json, source);
        return Read(document.RootElement, source);
    }

    /// <summary>Reads the options of a layer, as <see cref="Read(string, string)"/> does.</summary>
    /// <param name="layer">The JSON object.</param>
    /// <param name="source">Where the object comes from, for messages.</param>
    /// <exception cref="MoeException">The object has faults; one message lists all of them.</exception>
    public static MoeOptions Read(JsonElement layer, string source) => Read(layer, source, isSizeRequired: true);

    /// <summary>Reads the options of a router alone: as <see cref="Read(JsonElement, string)"/>, but a hidden_size or expert_size that is absent is 1.</summary>
    /// <param name="layer">The JSON object.</param>
    /// <param name="source">Where the object comes from, for messages.</param>
    /// <exception cref="MoeException">The object has faults; one message lists all of them.</exception>
    public static MoeOptions ReadRouterCase(JsonElement layer, string source) => Read(layer, source, isSizeRequired: false);

    /// <summary>
    /// The options as indented JSON with the same text for the same options: the sizes, the objects router, experts and dispatch, and every
    /// field that differs from its default. Reading it gives the options again, but for what has no meaning or no word: a
    /// <see cref="GroupLimit.Count"/> without <see cref="GroupRanking.TopSum"/>, a <see cref="RouterOptions.RenormalizePower"/> without
    /// <see cref="Renormalization.PNorm"/>, and the backends but for <see cref="ExpertBackend.Dense"/> without a capacity or a receive
    /// buffer, which come back as <see cref="ExpertBackend.Auto"/>, and <see cref="MoeOptions.KeepsPackedWeights"/>.
    /// </summary>
    /// <exception cref="ArgumentException">A number is not finite, or a value is no member of its enumeration.</exception>
    public static string Write(MoeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);

        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, Indented)) Write(json, options);
        return Encoding.UTF8.GetString(stream.GetBuffer().AsSpan(0, (int)stream.Length));
    }

    private static JsonDocument Parse(string json, string source)
    {
        try
        {
            return JsonDocument.Parse(json, Lenient);
        }
        catch (Exception error) when (error is JsonException or ArgumentException)  // the latter: half of a surrogate pair in the text
        {
            throw new MoeException($"{source}: not valid JSON: {error.Message}", error);
        }
    }

    private static MoeOptions Read(JsonElement layer, string source, bool isSizeRequired)
    {
        var faults = new OptionFaults(source);
        var options = ObjectReader.Document(layer, faults, reader => Read(reader, isSizeRequired));
        return faults.Message is { } message ? throw new MoeException(message) : options;
    }

    private static MoeOptions Read(ObjectReader layer, bool isSizeRequired)
    {
        int hiddenSize = isSizeRequired ? layer.Integer("hidden_size") : layer.Integer("hidden_size", 1);
        int expertSize = isSizeRequired ? layer.Integer("expert_size") : layer.Integer("expert_size", 1);
        int expertCount = layer.Integer("num_experts"), topK = layer.Integer("top_k");
        var router = layer.Object("router", router => RouterJson.Read(router, expertCount, topK));
        var experts = layer.Object("experts", experts => ExpertsJson.Read(experts, expertSize));
        var shared = layer.ObjectOrNull("shared", ExpertsJson.ReadShared);
        var (dispatch, backend) = layer.Object("dispatch", DispatchJson.Read);

        return new MoeOptions
        {
            HiddenSize = hiddenSize,
            Router = router,
            Experts = experts,
            Shared = shared,
            Dispatch = dispatch,
            LoadBalance = layer.Objects("load_balance", BalanceJson.ReadLoss),
            ZLossCoefficient = BalanceJson.ReadZLoss(layer),
            BalanceBias = layer.ObjectOrNull("balance_bias", BalanceJson.ReadBias),
            MaskScope = layer.Word("mask_scope", OptionWords.Masked),
            Backend = backend,
            Recompute = layer.Word("recompute", OptionWords.Again, Recompute.Activation),
        };
    }

    private static void Write(Utf8JsonWriter json, MoeOptions options)
    {
        json.WriteStartObject();
        json.WriteNumber("hidden_size", options.HiddenSize);
        json.WriteNumber("expert_size", options.Experts.IntermediateSize);
        json.WriteNumber("num_experts", options.Router.ExpertCount);
        json.WriteNumber("top_k", options.Router.TopK);
        json.WriteObject("router", options.Router, RouterJson.Write);
        json.WriteObject("experts", options.Experts, ExpertsJson.Write);
        json.WriteObject("shared", options.Shared, ExpertsJson.WriteShared);
        json.WriteObject("dispatch", options.Dispatch, (json, dispatch) => DispatchJson.Write(json, dispatch, options.Backend));
        BalanceJson.WriteLosses(json, options.LoadBalance);
        BalanceJson.WriteZLoss(json, options.ZLossCoefficient);
        json.WriteObject("balance_bias", options.BalanceBias, BalanceJson.WriteBias);
        json.WriteWord("mask_scope", OptionWords.Masked, options.MaskScope);
        json.WriteWord("recompute", OptionWords.Again, options.Recompute, Recompute.Activation);
        json.WriteEndObject();
    }
}
