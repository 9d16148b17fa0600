namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>MiniMax-Text-01 as transformers has it: the layers of Mixtral.</summary>
    internal static readonly ModelFamily MiniMax = new()
    {
        ModelTypes = ["minimax"],
        Describe = config =>
        {
            config.Require("shared_intermediate_size", 0);
            return DescribeMixtral(config);
        },
        Layouts = [MixtralLayout, MixtralFusedLayout],
    };
}
