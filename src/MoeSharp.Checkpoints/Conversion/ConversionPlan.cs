namespace MoeSharp.Checkpoints;

/// <summary>Every tensor of a conversion's target, in the order of the source, before a byte of it is written.</summary>
/// <param name="Tensors">The tensors.</param>
/// <param name="IsDequantized">Whether quantized weights become plain ones.</param>
internal sealed record ConversionPlan(IReadOnlyList<TensorToWrite> Tensors, bool IsDequantized)
{
    /// <summary>The bytes of a tensor.</summary>
    public static long ByteCount(TensorToWrite tensor) =>
        tensor.Type.TryGetByteCount(tensor.Shape, out long bytes, out string? fault) ? bytes : throw new InvalidOperationException($"Tensor '{tensor.Name}': {fault}.");      // it is of a source that could have it

    /// <summary>The tensors in files of no more bytes than a limit, but for larger tensors, which have a file each.</summary>
    public IReadOnlyList<IReadOnlyList<TensorToWrite>> Shards(long maximumBytes)
    {
        var shards = new List<List<TensorToWrite>>();
        long room = 0;
        foreach (var tensor in Tensors)
        {
            long bytes = ByteCount(tensor);
            if (shards.Count == 0 || bytes > room)
            {
                shards.Add([]);
                room = maximumBytes;
            }

            shards[^1].Add(tensor);
            room -= bytes;
        }

        return shards;
    }
}
