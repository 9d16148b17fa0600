using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

/// <summary>How GGUF files hold the config of a family: the keys of a <c>config.json</c> from those of the metadata.</summary>
/// <param name="Architecture">The <c>general.architecture</c>, which the keys of the metadata start with.</param>
/// <param name="Keys">A key of the config, and where the metadata have it; of several names, with | between, the first that is there.</param>
internal sealed record GgufFamily(string Architecture, params (string Key, string Metadata)[] Keys)
{
    /// <summary>The layout of MoE layers, alike in all GGUF files.</summary>
    public static readonly LayerLayout Layout = new()
    {
        Prefixes = ["blk.{l}."],
        Router = "ffn_gate_inp",
        LogitBias = "ffn_gate_inp.bias",
        InputScale = "ffn_gate_inp.scale",
        CorrectionBias = "exp_probs_b.bias",
        PerExpertScale = "ffn_down_exps.scale",
        TokenTable = "ffn_gate_tid2eid.weight",
        Experts =
        [
            [Stacked("gate", WeightRole.Gate), Stacked("up", WeightRole.Up), Stacked("down", WeightRole.Down)],
            [Stacked("gate_up", WeightRole.Gate, WeightRole.Up), Stacked("down", WeightRole.Down)],
        ],
        Shared = [[new("ffn_gate_shexp", WeightRole.Gate), new("ffn_up_shexp", WeightRole.Up), new("ffn_down_shexp", WeightRole.Down)]],
        SharedRouter = "ffn_gate_inp_shexp",
    };

    /// <summary>The keys of the numbers of experts, and of those that a token takes.</summary>
    public (string Count, string TopK) ExpertKeys { get; init; } = ("num_experts", "num_experts_per_tok");

    /// <summary>The <c>model_type</c> and the class of its model in transformers; null for the family's first, and for no class.</summary>
    public (string Type, string Class)? Model { get; init; }

    /// <summary>What becomes of the names of tensors outside of MoE layers.</summary>
    public TensorNames Names { get; init; } = GgufNames.Common;

    /// <summary>Keys of the config that follow from several of the metadata.</summary>
    public Action<GgufFile, JsonObject> Complete { get; init; } = (_, _) => { };

    /// <summary>Keys of the config that are the same for all such files, as a JSON object.</summary>
    public string Constants { get; init; } = "{}";

    /// <summary>Keys of the config for files that leave them out, as a JSON object.</summary>
    public string Defaults { get; init; } = "{}";

    /// <summary>Whether a file of the architecture is of this family, where several share it.</summary>
    public Func<GgufFile, bool> Applies { get; init; } = _ => true;

    private static StoredWeight Stacked(string name, params WeightRole[] roles) => new($"ffn_{name}_exps", roles) { Axis = ExpertAxis.Stacked, Bias = $"ffn_{name}_exps.bias" };
}
