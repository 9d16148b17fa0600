namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Mellum 2: the layers of Qwen3-MoE.</summary>
    internal static readonly ModelFamily Mellum = new()
    {
        ModelTypes = ["mellum"],
        Describe = config =>
        {
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            return config.Model(config.AfterFirst(layer with { Router = layer.Router with { Renormalize = config.Renormalize(absent: true) } }));
        },
        Layouts = [OlmoLayout],
    };
}
