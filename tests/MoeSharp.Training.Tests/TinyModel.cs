using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

/// <summary>Models small enough to run in milliseconds.</summary>
internal static class TinyModel
{
    public static ModelShape Shape { get; } = new()
    {
        HiddenSize = 16,
        LayerCount = 2,
        HeadCount = 4,
        KeyValueHeadCount = 2,
        HeadSize = 4,
        ExpertCount = 4,
        TopK = 2,
        ExpertSize = 12,
        InitializerRange = 0.2,
    };

    public static DecoderOptions Options { get; } = Shape.ToDecoder(vocabularySize: 40, maxPositions: 32, endOfTextId: 0);

    public static DecoderModel Create(DecoderOptions? options = null, int seed = 1)
    {
        var model = new DecoderModel(options ?? Options);
        model.Initialize(seed);
        return model;
    }

    public static Tensor Tokens(long rows, long columns, int seed = 3) => randint(0, Options.VocabularySize, [rows, columns], dtype: ScalarType.Int64, generator: new Generator((ulong)seed));
}
