using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// From the keys of a Qwen3-MoE config to <see cref="DecoderOptions"/>. Upper limits are far above any model: a wrong size fails here
/// and not in an allocation.
/// </summary>
internal static class Qwen3MoeReader
{
    public static DecoderOptions Read(ConfigReader json)
    {
        CheckFamily(json);
        RejectOtherMathematics(json);

        int hiddenSize = json.Integer("hidden_size", 2048, 1, FamilyConfig.MaximumWidth);
        int vocabulary = json.Integer("vocab_size", 151_936, 2, FamilyConfig.MaximumVocabulary);
        return new DecoderOptions
        {
            VocabularySize = vocabulary,
            HiddenSize = hiddenSize,
            MaxPositions = json.Integer("max_position_embeddings", 32_768, 1, int.MaxValue),
            Attention = ReadAttention(json, hiddenSize),
            Layers = ReadLayers(json, hiddenSize),
            RmsNormEpsilon = json.Number("rms_norm_eps", 1e-6, 0, isExclusive: true),
            TieEmbeddings = json.Flag("tie_word_embeddings", false),
            InitializerRange = json.Number("initializer_range", 0.02, 0, isExclusive: true),
            LoadBalanceCoefficient = json.Number("router_aux_loss_coef", 0.001, 0, isExclusive: false),
            BeginOfTextId = ReadTokenId(json, "bos_token_id", vocabulary),
            EndOfTextId = ReadTokenId(json, "eos_token_id", vocabulary),
        };
    }

    private static void CheckFamily(ConfigReader json)
    {
        const string Expected = Qwen3MoeConfig.ModelType;
        json.Fault(json.Find("model_type") is null, $"model_type is absent; expected \"{Expected}\".");
        string type = json.Text("model_type", Expected);
        bool isExtended = type == Qwen3MoeConfig.ExtendedModelType, hasLayer = json.Find(Qwen3MoeConfig.LayerKey) is not null;
        json.Unsupported(json.Find("model_type") is not null && type != Expected && !isExtended, "model_type", $"\"{Expected}\"");
        json.Fault(isExtended != hasLayer, $"model_type is \"{type}\", but {Qwen3MoeConfig.LayerKey} is {(hasLayer ? "there" : "absent")}; only \"{Qwen3MoeConfig.ExtendedModelType}\" has that key.");

        var architectures = json.Texts("architectures");
        json.Warn(architectures.Count > 0 && !isExtended && !architectures.Contains("Qwen3MoeForCausalLM"),
            "architectures does not name Qwen3MoeForCausalLM; the model is read as one nevertheless.");
        json.Warn(json.Find("auto_map") is not null,
            "auto_map asks for code of its own, which is never run; the model is read as an ordinary Qwen3-MoE.");
    }

    private static void RejectOtherMathematics(ConfigReader json)
    {
        json.Unsupported(json.Text("hidden_act", "silu") is not ("silu" or "swish"), "hidden_act", "\"silu\"");
        json.Unsupported(json.Flag("use_sliding_window", false) && json.Find("sliding_window") is not null,
            "use_sliding_window", "false: every layer attends to all positions");
        json.Unsupported(json.Texts("layer_types").Any(type => type != "full_attention"),
            "layer_types", "\"full_attention\" for every layer");
        json.Unsupported(!json.Flag("is_causal", true), "is_causal", "true");
        json.Unsupported(json.Find("quantization_config") is not null, "quantization_config", "weights that are not quantized");
        json.Unsupported(IsFilled(json.Object("pruned_heads")), "pruned_heads", "none");
        json.Unsupported(IsFilled(json.Object("per_layer_config")), "per_layer_config", "none: all layers alike");

        double dropout = json.Number("attention_dropout", 0, 0, isExclusive: false);
        json.Warn(dropout > 0, FormattableString.Invariant($"attention_dropout is {dropout}; training here drops no attention weights."));
    }

    private static bool IsFilled(ConfigReader? json) => json is { IsEmpty: false };

    private static AttentionOptions ReadAttention(ConfigReader json, int hiddenSize)
    {
        int heads = json.Integer("num_attention_heads", 32, 1, FamilyConfig.MaximumCount);
        int keyValueHeads = json.Integer("num_key_value_heads", 4, 1, FamilyConfig.MaximumCount);
        int headSize = json.OptionalInteger("head_dim", 1, FamilyConfig.MaximumCount) ?? hiddenSize / heads;
        json.Fault(heads % keyValueHeads != 0,
            $"{json.Describe("num_key_value_heads", keyValueHeads)}, but it must divide the {heads} of num_attention_heads.");
        json.Fault(headSize < 2 || headSize % 2 != 0,
            $"{json.Describe("head_dim", headSize)}; expected an even number, because rotary positions turn pairs.");

        return new AttentionOptions
        {
            HeadCount = heads,
            KeyValueHeadCount = keyValueHeads,
            HeadSize = headSize,
            RopeTheta = RopeConfig.ReadTheta(json),
            HasBias = json.Flag("attention_bias", false),
        };
    }

    private static MlpOptions[] ReadLayers(ConfigReader json, int hiddenSize)
    {
        int count = json.Integer("num_hidden_layers", 24, 1, FamilyConfig.MaximumLayers);
        var isSparse = SparseLayers.ByStep(json, count);
        var dense = new MlpOptions.Dense(json.Integer("intermediate_size", 6144, 1, FamilyConfig.MaximumWidth));
        var sparse = new MlpOptions.Sparse(ReadMoe(json, hiddenSize));
        return [.. Enumerable.Range(0, count).Select(layer => isSparse(layer) ? (MlpOptions)sparse : dense)];
    }

    private static MoeOptions ReadMoe(ConfigReader json, int hiddenSize)
    {
        int experts = ReadExpertCount(json);
        int topK = json.Integer("num_experts_per_tok", 8, 1, FamilyConfig.MaximumCount);
        json.Fault(topK > experts, $"{json.Describe("num_experts_per_tok", topK)}, but there are {experts} experts.");

        int width = json.Integer("moe_intermediate_size", 768, 1, FamilyConfig.MaximumWidth);
        if (json.Find(Qwen3MoeConfig.LayerKey) is { } layer) return ReadLayer(json, layer, (hiddenSize, experts, topK, width));

        return new MoeOptions
        {
            HiddenSize = hiddenSize,
            MaskScope = MaskScope.Losses,       // padding is routed like other tokens
            Router = new RouterOptions
            {
                ExpertCount = experts,
                TopK = topK,
                Renormalize = json.Flag("norm_topk_prob", false) ? Renormalization.Always : Renormalization.Never,
                HasCorrectionBias = json.Flag("moesharp_correction_bias", false),
            },
            Experts = new ExpertOptions { IntermediateSize = width },
        };
    }

    /// <summary>The layer in full; its sizes are said twice and must agree.</summary>
    private static MoeOptions ReadLayer(ConfigReader json, JsonElement layer, (int HiddenSize, int Experts, int TopK, int Width) sizes)
    {
        try
        {
            var options = MoeOptionsJson.Read(layer, Qwen3MoeConfig.LayerKey);
            var own = (options.HiddenSize, options.Router.ExpertCount, options.Router.TopK, options.Experts.IntermediateSize);
            json.Fault(own != sizes, $"{Qwen3MoeConfig.LayerKey} has (hidden size, experts, experts per token, expert size) = {own}, the other keys {sizes}; they must agree.");
            return options;
        }
        catch (MoeException e)
        {
            json.Fault(true, e.Message);
            return new() { HiddenSize = sizes.HiddenSize, Router = new() { ExpertCount = sizes.Experts, TopK = Math.Min(sizes.TopK, sizes.Experts) }, Experts = new() { IntermediateSize = sizes.Width } };
        }
    }

    /// <summary>transformers 4 and published files say <c>num_experts</c>, transformers 5 writes <c>num_local_experts</c>.</summary>
    private static int ReadExpertCount(ConfigReader json)
    {
        int experts = json.Integer("num_experts", 128, 1, FamilyConfig.MaximumCount);
        if (json.Find("num_local_experts") is null) return experts;

        int local = json.Integer("num_local_experts", 128, 1, FamilyConfig.MaximumCount);
        json.Fault(json.Find("num_experts") is not null && local != experts,
            $"num_experts is {experts} but num_local_experts is {local}; they must agree.");
        return local;
    }

    /// <summary>One id, or the first of a list: generation ends at one id here.</summary>
    private static int? ReadTokenId(ConfigReader json, string key, int vocabulary)
    {
        bool isList = json.Find(key) is { ValueKind: JsonValueKind.Array };
        var ids = isList ? json.Integers(key) : json.OptionalInteger(key, int.MinValue, int.MaxValue) is { } id ? [id] : [];
        if (ids.Count == 0) return null;

        json.Warn(ids.Count > 1, $"{key} lists {ids.Count} ids; the first, {ids[0]}, is used.");
        bool isKnown = ids[0] >= 0 && ids[0] < vocabulary;
        json.Warn(!isKnown, $"{key} is {ids[0]}, outside the vocabulary of {vocabulary}; it is left out.");
        return isKnown ? ids[0] : null;
    }
}
