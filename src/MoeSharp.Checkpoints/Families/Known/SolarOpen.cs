namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Solar Open: the layers of DeepSeek-V3, all of them a Mixture of Experts.</summary>
    internal static readonly ModelFamily SolarOpen = new()
    {
        ModelTypes = ["solar_open"],
        Describe = config =>
        {
            config.Require("first_k_dense_replace", 0);
            return DescribeSigmoid(config, firstSparse: 0);
        },
        Layouts = [DeepseekLayout],
    };
}
