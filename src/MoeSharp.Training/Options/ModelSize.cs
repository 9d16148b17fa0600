namespace MoeSharp.Training;

/// <summary>How large a model is, counted from its shape alone: nothing is allocated.</summary>
/// <param name="Parameters">Trained parameters, embeddings included; shared embeddings count once.</param>
/// <param name="ActiveParameters">Those that one token passes through: all but the experts it is not sent to.</param>
public sealed record ModelSize(long Parameters, long ActiveParameters)
{
    private const int BytesPerParameter = 4 * sizeof(float); // weight, gradient and Adam's two moments, all float32

    /// <summary>Bytes of weights, gradients and optimiser state in training; activations come on top.</summary>
    public long TrainingBytes => Parameters * BytesPerParameter;

    /// <summary>The size of a model of the given shape over a vocabulary.</summary>
    public static ModelSize Of(ModelShape shape, int vocabularySize)
    {
        long width = shape.HiddenSize;
        var sparseLayers = Enumerable.Range(0, shape.LayerCount).Count(shape.IsSparse);
        var attention = (2L * shape.HeadCount + 2L * shape.KeyValueHeadCount) * shape.HeadSize * width; // q, o and k, v
        var norms = 2 * width + 2L * shape.HeadSize;                                                     // before attention and MLP; queries and keys
        var expert = 3 * width * shape.ExpertSize;
        var dense = 3 * width * (shape.DenseSize ?? 0);
        var embeddings = (shape.TieEmbeddings ? 1 : 2) * width * vocabularySize;

        var shared = embeddings + width + shape.LayerCount * (attention + norms) + (shape.LayerCount - sparseLayers) * dense + sparseLayers * width * shape.ExpertCount;

        return new(shared + sparseLayers * shape.ExpertCount * expert, shared + sparseLayers * shape.TopK * expert);
    }
}
