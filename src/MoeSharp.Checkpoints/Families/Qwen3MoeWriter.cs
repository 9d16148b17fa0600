using System.Globalization;
using System.Text;
using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// From <see cref="DecoderOptions"/> to the config of a Qwen3-MoE model, in the keys that published checkpoints and both transformers
/// generations share.
/// </summary>
internal static class Qwen3MoeWriter
{
    public static string Write(DecoderOptions options)
    {
        CheckExpressible(options);

        using var buffer = new MemoryStream();
        var layout = new JsonWriterOptions { Indented = true, IndentSize = 2, NewLine = "\n" }; // json.dumps(indent=2)
        using (var json = new Utf8JsonWriter(buffer, layout)) Write(json, options);
        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length) + "\n";
    }

    private static void Write(Utf8JsonWriter json, DecoderOptions options)
    {
        var moe = SparseLayers(options).FirstOrDefault() ?? Unused(options);
        bool isFamilys = IsFamilys(moe);
        int[] dense = [.. Enumerable.Range(0, options.Layers.Count).Where(layer => options.Layers[layer] is MlpOptions.Dense)];

        // Alphabetical, as transformers writes it. Keys that are fixed here keep transformers from assuming another default.
        json.WriteStartObject();
        WriteTexts(json, "architectures", [isFamilys ? "Qwen3MoeForCausalLM" : "MoeSharpForCausalLM"]);
        json.WriteBoolean("attention_bias", options.Attention.HasBias);
        WriteFloat(json, "attention_dropout", 0);
        WriteTokenId(json, "bos_token_id", options.BeginOfTextId);
        json.WriteNumber("decoder_sparse_step", 1);
        json.WriteString("dtype", "float32");
        WriteTokenId(json, "eos_token_id", options.EndOfTextId);
        json.WriteNumber("head_dim", options.Attention.HeadSize);
        json.WriteString("hidden_act", "silu");
        json.WriteNumber("hidden_size", options.HiddenSize);
        WriteFloat(json, "initializer_range", options.InitializerRange);
        json.WriteNumber("intermediate_size", DenseWidth(options, moe));
        json.WriteNumber("max_position_embeddings", options.MaxPositions);
        WriteIntegers(json, "mlp_only_layers", dense);
        json.WriteString("model_type", isFamilys ? Qwen3MoeConfig.ModelType : Qwen3MoeConfig.ExtendedModelType);
        json.WriteNumber("moe_intermediate_size", moe.Experts.IntermediateSize);
        if (moe.Router.HasCorrectionBias) json.WriteBoolean("moesharp_correction_bias", true);
        if (!isFamilys)
        {
            json.WritePropertyName(Qwen3MoeConfig.LayerKey);
            json.WriteRawValue(MoeOptionsJson.Write(moe));
        }

        json.WriteBoolean("norm_topk_prob", moe.Router.Renormalize == Renormalization.Always);
        json.WriteNumber("num_attention_heads", options.Attention.HeadCount);
        json.WriteNumber("num_experts", moe.Router.ExpertCount);
        json.WriteNumber("num_experts_per_tok", moe.Router.TopK);
        json.WriteNumber("num_hidden_layers", options.Layers.Count);
        json.WriteNumber("num_key_value_heads", options.Attention.KeyValueHeadCount);
        json.WriteBoolean("output_router_logits", false);
        WriteFloat(json, "rms_norm_eps", options.RmsNormEpsilon);
        json.WriteStartObject("rope_parameters"); // transformers 5
        WriteFloat(json, "rope_theta", options.Attention.RopeTheta);
        json.WriteString("rope_type", "default");
        json.WriteEndObject();
        WriteFloat(json, "rope_theta", options.Attention.RopeTheta); // transformers 4
        WriteFloat(json, "router_aux_loss_coef", options.LoadBalanceCoefficient);
        json.WriteNull("sliding_window");
        json.WriteBoolean("tie_word_embeddings", options.TieEmbeddings);
        json.WriteString("torch_dtype", "float32");
        json.WriteBoolean("use_cache", true);
        json.WriteBoolean("use_sliding_window", false);
        json.WriteNumber("vocab_size", options.VocabularySize);
        json.WriteEndObject();
    }

    private static IEnumerable<MoeOptions> SparseLayers(DecoderOptions options) =>
        options.Layers.OfType<MlpOptions.Sparse>().Select(layer => ToRun(layer.Moe));

    /// <summary>What running a layer needs: without what only training uses, and without the backend.</summary>
    private static MoeOptions ToRun(MoeOptions moe) => moe with
    {
        Backend = ExpertBackend.Auto,
        LoadBalance = [],
        ZLossCoefficient = 0,
        BalanceBias = null,
        Router = moe.Router with { InputJitter = 0, LogitJitter = 0, Seed = moe.Router.Select is Selection.Random ? moe.Router.Seed : 0 },
    };

    /// <summary>Whether the keys of the family say it all: a top-k of softmax scores that drops nothing and routes padding.</summary>
    private static bool IsFamilys(MoeOptions moe) =>
        moe.Router is { Select: Selection.TopK, Score: ScoreFunction.Softmax, GroupLimit: null, Renormalize: not Renormalization.PNorm } && moe.Dispatch == new DispatchOptions() && moe.MaskScope == MaskScope.Losses;

    /// <summary>For a model without any MoE layer: the keys must be there, and valid.</summary>
    private static MoeOptions Unused(DecoderOptions options) => new()
    {
        HiddenSize = options.HiddenSize,
        Router = new RouterOptions { ExpertCount = 1, TopK = 1 },
        Experts = new ExpertOptions { IntermediateSize = 1 },
    };

    /// <summary>Without a dense layer the width is unused; Qwen's own files then give what a token uses of the experts.</summary>
    private static int DenseWidth(DecoderOptions options, MoeOptions moe) =>
        options.Layers.OfType<MlpOptions.Dense>().FirstOrDefault()?.IntermediateSize
        ?? (int)Math.Min((long)moe.Experts.IntermediateSize * moe.Router.TopK, FamilyConfig.MaximumWidth);

    private static void CheckExpressible(DecoderOptions options)
    {
        var faults = new OptionFaults($"A {Qwen3MoeConfig.ModelType} config cannot say this: {nameof(DecoderOptions)}");
        faults.When(options.Layers.OfType<MlpOptions.Dense>().Distinct().Count() > 1,
            "Layers have dense MLPs of different widths; the family has one.");
        var kinds = SparseLayers(options).Distinct().ToArray();
        faults.When(kinds.Length > 1, "Layers have MoEs of different options; the family has one for all.");
        foreach (var moe in kinds.Take(1)) CheckExpressible(faults, moe);
        faults.ThrowIfAny();
    }

    private static void CheckExpressible(OptionFaults faults, MoeOptions moe)
    {
        var router = moe.Router;
        faults.When(router.Weights != WeightSource.Score, $"Router.Weights is {router.Weights}; the family has Score.");
        faults.When(router.ApplyTo != WeightTarget.Output, $"Router.ApplyTo is {router.ApplyTo}; the family has Output.");
        faults.When(router.InputNorm is not null, "Router.InputNorm is set; the family has none.");
        faults.When(router.HasLogitBias, "Router.HasLogitBias is true; the family has none.");
        faults.When(router.HasPerExpertScale, "Router.HasPerExpertScale is true; the family has none.");
        faults.When(router.Scale != 1, FormattableString.Invariant($"Router.Scale is {router.Scale}; the family has 1."));
        faults.When(router.RenormalizeEpsilon != 0,
            FormattableString.Invariant($"Router.RenormalizeEpsilon is {router.RenormalizeEpsilon}; the family has 0."));
        faults.When(moe.Experts.Activation != ExpertActivation.Silu, $"Experts.Activation is {moe.Experts.Activation}; the family has Silu.");
        faults.When(moe.Experts.Limit is not null, "Experts.Limit is set; the family has none.");
        faults.When(moe.Experts.HasBias, "Experts.HasBias is true; the family has none.");
        faults.When(moe.Shared is not null, "Shared is set; the family has no shared expert.");
    }

    /// <summary>A number that Python reads as a float: transformers 5 refuses 1 where it expects 1.0.</summary>
    private static void WriteFloat(Utf8JsonWriter json, string name, double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        json.WritePropertyName(name);
        json.WriteRawValue(text.AsSpan().ContainsAny('.', 'E') ? text : $"{text}.0");
    }

    private static void WriteTokenId(Utf8JsonWriter json, string name, int? id)
    {
        if (id is { } value) json.WriteNumber(name, value);
        else json.WriteNull(name);
    }

    private static void WriteIntegers(Utf8JsonWriter json, string name, IEnumerable<int> values)
    {
        json.WriteStartArray(name);
        foreach (int value in values) json.WriteNumberValue(value);
        json.WriteEndArray();
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }
}
