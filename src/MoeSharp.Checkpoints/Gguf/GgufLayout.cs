namespace MoeSharp.Checkpoints;

/// <summary>
/// Checks that the tensors of a GGUF file cover its data exactly: each at a multiple of the alignment, from the first byte to the last, with
/// nothing between them but what fills up to the next multiple.
/// </summary>
internal static class GgufLayout
{
    /// <summary>Sorts the tensors by their place, checks them, and returns their places in that order.</summary>
    /// <param name="file">The file.</param>
    /// <param name="entries">The tensors; sorted in place.</param>
    /// <param name="headerEnd">The first byte behind the header.</param>
    /// <param name="alignment">A power of two.</param>
    public static List<TensorInfo> Check(MappedFile file, List<GgufTensorEntry> entries, long headerEnd, uint alignment)
    {
        entries.Sort((a, b) => a.Offset.CompareTo(b.Offset)); // no tensor is empty: two of one offset overlap
        long dataStart = Align(headerEnd, alignment), position = dataStart, end = headerEnd;

        var places = new List<TensorInfo>(entries.Count);
        foreach (var entry in entries)
        {
            var place = Place(file, entry, dataStart, alignment);
            if (place.Offset != position) throw new CheckpointException(file.Path, Misplaced(place, position, dataStart));

            places.Add(place);
            end = place.End;
            position = Align(end, alignment);
        }

        // the last tensor may be filled up as the others are, or end the file
        if (file.Length > position)
        {
            throw new CheckpointException(file.Path,
                $"The tensors end at byte {end} but the file at {file.Length}; bytes that belong to no tensor: {file.Length - end}.");
        }

        return places;
    }

    private static TensorInfo Place(MappedFile file, in GgufTensorEntry entry, long dataStart, uint alignment)
    {
        var (tensor, offset, bytes) = entry;
        if (offset % alignment != 0)
        {
            throw new CheckpointException(file.Path,
                $"Tensor {TensorName.Quote(tensor.Name)} starts at byte {offset} of the data, which is no multiple of the alignment of {alignment}.");
        }

        if (bytes > file.Length - dataStart || offset > (ulong)(file.Length - dataStart - bytes))
        {
            throw new CheckpointException(file.Path,
                $"Tensor {TensorName.Quote(tensor.Name)} has {bytes} bytes from byte {offset} of the data on, which starts at byte {dataStart}; "
                + $"the file ends at {file.Length}. The file is incomplete: fetch it again.");
        }

        var (length, size) = GgufTypes.SizeOf(tensor.Type);
        var elementType = GgufTypes.ElementType(tensor.Type);
        IReadOnlyList<long> shape = length == 1 ? tensor.Shape : [.. tensor.Shape.SkipLast(1), tensor.Shape[^1] / length * size];
        return new TensorInfo(tensor.Name, elementType, shape, dataStart + (long)offset, bytes);
    }

    private static string Misplaced(TensorInfo tensor, long position, long dataStart)
    {
        string problem = tensor.Offset > position ? "leaves a hole before it" : "overlaps another tensor";
        string start = $"Tensor {TensorName.Quote(tensor.Name)} starts at byte {tensor.Offset - dataStart} of the data";
        return $"{start} and {problem}; expected byte {position - dataStart}.";
    }

    private static long Align(long position, uint alignment) => (position + alignment - 1) / alignment * alignment; // positions in a file: no overflow
}
