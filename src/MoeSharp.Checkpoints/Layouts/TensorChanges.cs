namespace MoeSharp.Checkpoints;

/// <summary>The ways in which files order the numbers of attention otherwise than the family's usual ones, undone.</summary>
internal static class TensorChanges
{
    /// <summary>
    /// Rows of queries where the two numbers that rotary positions turn follow each other: the first ones of all pairs come before the second ones.
    /// Row h·d + 2i + j becomes row h·d + j·d/2 + i, for head h of d rows.
    /// </summary>
    public static SourceTensor? Queries(TensorPlace place, SourceTensor tensor) => Pairs(tensor, place.Source.Model.Attention.HeadCount);

    /// <summary>The same of keys.</summary>
    public static SourceTensor? Keys(TensorPlace place, SourceTensor tensor) => Pairs(tensor, place.Source.Model.Attention.KeyValueHeadCount);

    private static SourceTensor? Pairs(SourceTensor tensor, int heads)
    {
        if (tensor.Matrices.Count != 1 || tensor.Matrix.Rows % (2 * heads) != 0) return null;

        int half = tensor.Matrix.Rows / heads / 2;
        return tensor.With([.. Enumerable.Range(0, 2 * heads).Select(part => tensor.Matrix.RowsFrom(part / 2 * 2 * half + part % 2, 2, half))], tensor.Shape);
    }

    /// <summary>The queries of a matrix or bias that holds queries, keys and values after each other.</summary>
    public static SourceTensor? QueriesOfAll(TensorPlace place, SourceTensor tensor) => RowsOfHeads(place, tensor, attention => (0, attention.HeadCount));

    /// <summary>Its keys.</summary>
    public static SourceTensor? KeysOfAll(TensorPlace place, SourceTensor tensor) => RowsOfHeads(place, tensor, attention => (attention.HeadCount, attention.KeyValueHeadCount));

    /// <summary>Its values.</summary>
    public static SourceTensor? ValuesOfAll(TensorPlace place, SourceTensor tensor) => RowsOfHeads(place, tensor, attention => (attention.HeadCount + attention.KeyValueHeadCount, attention.KeyValueHeadCount));

    private static SourceTensor? RowsOfHeads(TensorPlace place, SourceTensor tensor, Func<AttentionShape, (int First, int Count)> of)
    {
        var attention = place.Source.Model.Attention;
        int heads = attention.HeadCount + 2 * attention.KeyValueHeadCount;
        if (tensor.Matrices.Count != 1 || tensor.Matrix.Rows % heads != 0) return null;

        int size = tensor.Matrix.Rows / heads;
        var (first, count) = of(attention);
        return tensor.With([tensor.Matrix.RowsFrom(first * size, 1, count * size)], [count * size, .. tensor.Shape.Skip(1)]);
    }

    /// <summary>
    /// The matrix that latent attention makes keys and values with, from one for keys [heads, rank, size], which llama.cpp stores transposed, and
    /// one for values [heads, size, rank]: of each head the rows of its keys, then those of its values.
    /// </summary>
    public static SourceTensor? KeysAndValues(TensorPlace place, SourceTensor keys)
    {
        string name = $"{place.Prefix}attn_v_b{place.Ending}";
        if (!place.Source.Tensors.Tensors.ContainsKey(name)) return null;

        var values = SourceTensor.Of(place.Source.Tensors, name);
        if (keys.Shape.Count != 3 || values.Shape.Count != 3 || keys.Shape[0] != values.Shape[0] || keys.Shape[1] != values.Shape[2]) return null;

        var rows = keys.Matrices.Zip(values.Matrices).SelectMany(head => new[] { head.First.Transposed(), head.Second });
        return keys.With([.. rows], keys.Shape[0] * (keys.Shape[2] + values.Shape[1]), keys.Shape[1]) with { From = [.. keys.From, name] };
    }

    /// <summary>The kernels of a convolution by channel [channels, length], with the dimension of the one input that each has.</summary>
    public static SourceTensor? Kernels(TensorPlace place, SourceTensor tensor) => tensor.Matrices.Count == 1 ? tensor with { Shape = [tensor.Shape[0], 1, tensor.Shape[^1]] } : null;
}
