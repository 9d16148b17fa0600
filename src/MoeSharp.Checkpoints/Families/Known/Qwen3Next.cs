namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Qwen3-Next: 512 small experts, and a shared one behind a sigmoid.</summary>
    internal static readonly ModelFamily Qwen3Next = new()
    {
        ModelTypes = ["qwen3_next"],
        Describe = config =>
        {
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            var moe = layer with { Router = layer.Router with { Renormalize = config.Renormalize(absent: true) }, Shared = GatedShared(config) };
            return config.Model(config.ByStep(moe), NormKind.RmsPlusOne);
        },
        Layouts = [QwenLayout],
    };
}
