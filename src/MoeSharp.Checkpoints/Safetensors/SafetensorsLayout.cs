namespace MoeSharp.Checkpoints;

/// <summary>Checks that the tensors of a file cover its data exactly: from the first byte to the last, no hole, no byte twice.</summary>
internal static class SafetensorsLayout
{
    /// <summary>Sorts the tensors by their place, checks them, and returns them by name in that order.</summary>
    public static OrderedDictionary<string, TensorInfo> Check(string file, List<TensorInfo> tensors, long dataStart, long fileLength)
    {
        SortByPlace(tensors);
        var byName = IndexByName(file, tensors);

        long position = dataStart;
        foreach (var tensor in tensors)
        {
            if (tensor.Offset != position) throw new CheckpointException(file, Misplaced(tensor, position, dataStart));

            position = tensor.End;
        }

        if (position != fileLength)
        {
            throw new CheckpointException(file, position > fileLength
                ? $"The tensors end at byte {position} but the file at {fileLength}. The file is incomplete: fetch it again."
                : $"The tensors end at byte {position} but the file at {fileLength}; bytes that belong to no tensor: {fileLength - position}.");
        }

        return byName;
    }

    private static void SortByPlace(List<TensorInfo> tensors)
    {
        static int Compare(TensorInfo a, TensorInfo b) => (a.Offset, a.ByteCount).CompareTo((b.Offset, b.ByteCount));

        for (int i = 1; i < tensors.Count; i++)
        {
            if (Compare(tensors[i - 1], tensors[i]) <= 0) continue;

            tensors.Sort(Compare); // rare: writers list tensors in the order of their bytes
            return;
        }
    }

    private static OrderedDictionary<string, TensorInfo> IndexByName(string file, List<TensorInfo> tensors)
    {
        var byName = new OrderedDictionary<string, TensorInfo>(tensors.Count);
        foreach (var tensor in tensors)
        {
            if (!byName.TryAdd(tensor.Name, tensor))
            {
                throw new CheckpointException(file, $"The header names tensor {TensorName.Quote(tensor.Name)} twice.");
            }
        }

        return byName;
    }

    private static string Misplaced(TensorInfo tensor, long position, long dataStart)
    {
        string problem = tensor.Offset > position ? "leaves a hole before it" : "overlaps another tensor";
        string start = $"Tensor {TensorName.Quote(tensor.Name)} starts at byte {tensor.Offset - dataStart} of the data";
        return $"{start} and {problem}; expected byte {position - dataStart}.";
    }
}
