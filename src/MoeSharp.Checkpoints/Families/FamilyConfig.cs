namespace MoeSharp.Checkpoints;

/// <summary>
/// The keys of a config in the words that families share. Sizes are required, because no model is described by the defaults of a class;
/// where several names of one thing are given, they must agree. Upper limits are far above any model: a wrong size fails here and not in an
/// allocation.
/// </summary>
internal sealed class FamilyConfig
{
    public const int MaximumWidth = 1 << 20, MaximumCount = 1 << 16, MaximumVocabulary = 1 << 24, MaximumLayers = 10_000;

    // whatever family: published files and the two generations of transformers have these names for the same things
    private static readonly string[] HiddenKeys = ["hidden_size", "d_model"], LayerKeys = ["num_hidden_layers", "n_layers"], HeadKeys = ["num_attention_heads", "n_heads"];
    private static readonly string[] ExpertKeys = ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"];
    private static readonly string[] TopKKeys = ["num_experts_per_tok", "num_experts_per_token", "experts_per_token", "top_k_experts", "moe_topk", "moe_top_k", "moe_k"];

    public FamilyConfig(ConfigReader json)
        : this(json, json, Size(json, HiddenKeys, MaximumWidth), Size(json, LayerKeys, MaximumLayers))
    {
    }

    private FamilyConfig(ConfigReader json, ConfigReader moe, int hiddenSize, int layerCount)
    {
        (Json, Moe, HiddenSize, LayerCount) = (json, moe, hiddenSize, layerCount);
    }

    /// <summary>The keys of the language model.</summary>
    public ConfigReader Json { get; }

    /// <summary>The keys of its MoE layers: the same object, or one inside.</summary>
    public ConfigReader Moe { get; }

    public int HiddenSize { get; }

    public int LayerCount { get; }

    /// <summary>Whether the config names a number of experts, and not 0.</summary>
    public bool HasExperts => ExpertKeys.Any(key => Moe.Find(key) is { } value && value.GetRawText() != "0");

    /// <summary>These keys, with those of the MoE layers in an object inside.</summary>
    public FamilyConfig WithMoeIn(string key) => new(Json, Json.Object(key) ?? Json, HiddenSize, LayerCount);

    /// <summary>A width: of experts, of a dense MLP; under any of several names.</summary>
    public int Width(params string[] keys) => Size(Moe, keys, MaximumWidth);

    /// <summary>A width that may be absent, null or 0, which all mean none.</summary>
    public int OptionalWidth(string key) => Moe.OptionalInteger(key, 0, MaximumWidth) ?? 0;

    /// <summary>A layer with softmax over all experts and its top-k, of experts of a given width: what families vary.</summary>
    public MoeOptions Layer(int expertWidth, string activationKey = "hidden_act") => Layer(expertWidth, Size(Moe, TopKKeys, MaximumCount), activationKey);

    /// <summary>The same with a given number of experts per token.</summary>
    public MoeOptions Layer(int expertWidth, int topK, string activationKey = "hidden_act")
    {
        int experts = Size(Moe, ExpertKeys, MaximumCount);
        Json.Fault(topK > experts, $"Each token takes {topK} experts ({string.Join(", ", TopKKeys.Where(key => Moe.Find(key) is not null))}), but there are {experts}.");
        return new MoeOptions
        {
            HiddenSize = HiddenSize,
            MaskScope = MaskScope.Losses,       // padding is routed like other tokens
            Router = new RouterOptions { ExpertCount = experts, TopK = Math.Min(topK, experts) },
            Experts = new ExpertOptions { IntermediateSize = expertWidth, Activation = Activation(Moe, activationKey) },
        };
    }

    /// <summary>The activation of a key; absent means SiLU.</summary>
    public static ExpertActivation Activation(ConfigReader json, string key)
    {
        string name = json.Find(key) is null ? "silu" : json.Text(key, "silu");
        ExpertActivation? known = name switch
        {
            "silu" or "swish" => ExpertActivation.Silu,
            "gelu" => ExpertActivation.Gelu,
            "gelu_pytorch_tanh" or "gelu_new" => ExpertActivation.GeluTanh,
            "relu" => ExpertActivation.Relu,
            "relu2" => ExpertActivation.Relu2,
            _ => null,
        };
        json.Unsupported(known is null, key, "silu, gelu, gelu_pytorch_tanh, relu or relu2");
        return known ?? ExpertActivation.Silu;
    }

    /// <summary>Refuses a key that is there with another value than the one that the family computes.</summary>
    public void Require(string key, params ReadOnlySpan<string> values)
    {
        if (Moe.Find(key) is { ValueKind: System.Text.Json.JsonValueKind.String } text) Moe.Unsupported(!values.Contains(text.GetString()), key, $"\"{string.Join("\" or \"", values)}\"");
        else Moe.Unsupported(Moe.Find(key) is not null, key, $"\"{string.Join("\" or \"", values)}\"");
    }

    /// <summary>Refuses a flag that is there with another value than the one that the family computes.</summary>
    public void Require(string key, bool value) => Moe.Unsupported(Moe.Find(key) is not null && Moe.Flag(key, value) != value, key, value ? "true" : "false");

    /// <summary>Refuses a number that is there with another value than the one that the family computes.</summary>
    public void Require(string key, double value) =>
        Moe.Unsupported(Moe.Find(key) is not null && Moe.Number(key, value, double.MinValue, isExclusive: false) != value, key, FormattableString.Invariant($"{value}"));

    /// <summary>Renormalisation by a flag.</summary>
    public Renormalization Renormalize(string key = "norm_topk_prob", bool absent = false) => Moe.Flag(key, absent) ? Renormalization.Always : Renormalization.Never;

    /// <summary>The factor of the weights; absent or null means 1.</summary>
    public double Scale(string key = "routed_scaling_factor") => Moe.Find(key) is null ? 1 : Moe.Number(key, 1, double.MinValue, isExclusive: false);

    /// <summary>The group limit of DeepSeek's keys; null where there is one group or the keys are absent.</summary>
    public GroupLimit? Groups(GroupRanking by)
    {
        int groups = Moe.OptionalInteger("n_group", 1, MaximumCount) ?? 1, keep = Moe.OptionalInteger("topk_group", 1, MaximumCount) ?? groups;
        return groups > 1 ? new GroupLimit(groups, keep, by) : null;
    }

    /// <summary>Shared experts as one: their number times a width; null for none.</summary>
    public SharedExpertOptions? Shared(string countKey, int width)
    {
        int count = Moe.OptionalInteger(countKey, 0, MaximumCount) ?? 0;
        Moe.Fault((long)count * width > MaximumWidth, $"{count} shared experts of {width} are wider than {MaximumWidth}.");
        return count > 0 ? new SharedExpertOptions { IntermediateSize = Math.Min(count, MaximumWidth / Math.Max(width, 1)) * width } : null;
    }

    /// <summary>The model, from its layers' MLPs and its norm.</summary>
    public ModelDescription Model(IReadOnlyList<MlpOptions> layers, NormKind norm = NormKind.Rms, string epsilonKey = "rms_norm_eps") => new()
    {
        Family = "",        // the reader knows it
        VocabularySize = Size(Json, ["vocab_size"], MaximumVocabulary),
        HiddenSize = HiddenSize,
        Layers = layers,
        Attention = Attention(),
        Norm = new NormShape(norm, Json.Number(epsilonKey, 1e-6, 0, isExclusive: true)),
        TieEmbeddings = Json.Flag("tie_word_embeddings", false),
    };

    private AttentionShape Attention()
    {
        int heads = Size(Json, HeadKeys, MaximumCount);
        return new AttentionShape(heads, Json.OptionalInteger("num_key_value_heads", 1, MaximumCount) ?? heads, Json.OptionalInteger("head_dim", 1, MaximumWidth))
        {
            LatentRank = Json.OptionalInteger("kv_lora_rank", 1, MaximumWidth),
            LayerKinds = Json.Texts("layer_types"),
        };
    }

    private static int Size(ConfigReader json, string[] keys, int maximum)
    {
        string[] given = [.. keys.Where(key => json.Find(key) is not null)];
        json.Fault(given.Length == 0, $"{string.Join(" or ", keys)} is absent; expected a whole number from 1 to {maximum}.");
        int[] sizes = [.. given.Select(key => json.Integer(key, 1, 1, maximum))];
        json.Fault(sizes.Distinct().Count() > 1, $"{string.Join(" and ", given)} are {string.Join(" and ", sizes)}; they must agree.");
        return sizes.FirstOrDefault(1);
    }
}
