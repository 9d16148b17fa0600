namespace MoeSharp.Checkpoints.Tests;

/// <summary>Equality of whole models: records compare their lists by reference.</summary>
internal static class DecoderAssert
{
    public static void Equal(DecoderOptions expected, DecoderOptions actual)
    {
        Assert.Equal(expected.Layers, actual.Layers);
        Assert.Equal(expected with { Layers = actual.Layers }, actual);
    }
}
