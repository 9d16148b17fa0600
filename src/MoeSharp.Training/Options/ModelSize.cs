using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>How large a model is, counted from its options alone: nothing is allocated.</summary>
/// <param name="Parameters">Trained parameters, embeddings included; shared embeddings count once.</param>
/// <param name="ActiveParameters">Those that one token passes through: of each MoE layer only the chosen experts.</param>
public sealed record ModelSize(long Parameters, long ActiveParameters)
{
    private const int BytesPerParameter = 4 * sizeof(float); // weight, gradient and Adam's two moments, all float32

    /// <summary>Bytes of weights, gradients and optimiser state in training; activations come on top.</summary>
    public long TrainingBytes => Parameters * BytesPerParameter;

    /// <summary>The size of a model.</summary>
    public static ModelSize Of(DecoderOptions options) => new(Count(options, router => router.ExpertCount), Count(options, router => router.TopK));

    /// <summary>The size of a model of the given shape over a vocabulary.</summary>
    public static ModelSize Of(ModelShape shape, int vocabularySize) => Of(shape.ToDecoder(vocabularySize, maxPositions: 1, endOfTextId: null));

    private static long Count(DecoderOptions options, Func<RouterOptions, long> expertsPerLayer)
    {
        var attention = options.Attention;
        long width = options.HiddenSize, queries = (long)attention.HeadCount * attention.HeadSize, keys = (long)attention.KeyValueHeadCount * attention.HeadSize;
        long biases = attention.HasBias ? queries + 2 * keys + width : 0;
        long beforeMlp = width * (2 * queries + 2 * keys) + biases + 2 * attention.HeadSize + 2 * width;      // q, o, k, v; their norms; the layer's norms
        long embeddings = (options.TieEmbeddings ? 1 : 2) * (long)options.VocabularySize * width;

        return embeddings + width + options.Layers.Sum(layer => beforeMlp + layer switch
        {
            MlpOptions.Dense dense => 3 * width * dense.IntermediateSize,
            MlpOptions.Sparse { Moe: var moe } => width * moe.Router.ExpertCount + expertsPerLayer(moe.Router) * 3 * width * moe.Experts.IntermediateSize,
            _ => throw new InvalidOperationException($"{layer.GetType().Name} is not a kind of MLP."),
        });
    }
}
