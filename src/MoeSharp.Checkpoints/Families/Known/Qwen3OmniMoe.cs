namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>The language model of Qwen3-Omni, its thinker: the layers of Qwen3-MoE. What speaks is not read.</summary>
    internal static readonly ModelFamily Qwen3OmniMoe = new()
    {
        ModelTypes = ["qwen3_omni_moe", "qwen3_omni_moe_thinker", "qwen3_omni_moe_text"],
        Describe = config =>
        {
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            return config.Model(config.ByStep(layer with { Router = layer.Router with { Renormalize = config.Renormalize(absent: true) } }));
        },
        Layouts = [OlmoLayout with { Prefixes = ["thinker.model.layers.{l}.", .. LayerLayout.UsualPrefixes] }],
    };
}
