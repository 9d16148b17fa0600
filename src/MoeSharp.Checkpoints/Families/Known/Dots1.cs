namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>dots.llm1: the layers of DeepSeek-V3.</summary>
    internal static readonly ModelFamily Dots1 = new()
    {
        ModelTypes = ["dots1"],
        Describe = config => DescribeSigmoid(config, firstSparse: 0, renormalizes: false),
        Layouts = [DeepseekLayout],
        Gguf = [new("dots1", DeepseekKeys) { Model = ("dots1", "Dots1ForCausalLM"), ExpertKeys = ("n_routed_experts", "num_experts_per_tok"), Defaults = Ungrouped }],
    };
}
