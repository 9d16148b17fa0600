namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>FlexOlmo: the layers of OLMoE in a model that normalises after each block.</summary>
    internal static readonly ModelFamily FlexOlmo = new()
    {
        ModelTypes = ["flex_olmo"],
        Describe = DescribeOlmo,
        Layouts = [OlmoLayout],
    };
}
