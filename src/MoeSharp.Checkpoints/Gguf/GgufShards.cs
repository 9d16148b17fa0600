namespace MoeSharp.Checkpoints;

/// <summary>
/// Opens a model that is split over files, <c>NAME-00001-of-00003.gguf</c> and so on, beside each other. The first has the metadata; all say which
/// they are of how many, and that must agree with their names.
/// </summary>
internal static class GgufShards
{
    /// <summary>Opens the file and, where it is the first of several, the others, appending to <paramref name="shards"/>, which is the caller's to close.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public static void Open(string path, List<GgufShard> shards)
    {
        var first = GgufShard.Open(path);
        shards.Add(first);
        long count = Integer(first, GgufKeys.ShardCount) ?? 1;
        if (count <= 1) return; // whole: the writer may say so

        string name = FindName(first, count);
        for (long i = 1; i < count; i++)
        {
            var shard = GgufShard.Open($"{name}{Suffix(i, count)}");
            shards.Add(shard);
            CheckPlace(shard, i, count);
        }

        CheckTensors(shards);
    }

    /// <summary>The path without what the shards differ in.</summary>
    private static string FindName(GgufShard first, long count)
    {
        string path = first.File.Path, suffix = Suffix(0, count);
        long number = Integer(first, GgufKeys.ShardNumber) ?? 0;
        if (number != 0) throw new CheckpointException(path, $"The file is shard {number + 1} of {count}; open the first, whose name ends with '{suffix}'.");
        if (path.EndsWith(suffix, StringComparison.Ordinal)) return path[..^suffix.Length];

        throw new CheckpointException(path, $"The file is the first of {count} shards, but its name does not end with '{suffix}': the others cannot be found.");
    }

    private static string Suffix(long index, long count) => FormattableString.Invariant($"-{index + 1:D5}-of-{count:D5}.gguf");

    private static void CheckPlace(GgufShard shard, long index, long count)
    {
        var (number, of) = (Integer(shard, GgufKeys.ShardNumber) ?? 0, Integer(shard, GgufKeys.ShardCount) ?? 1);
        if ((number, of) == (index, count)) return;

        throw new CheckpointException(shard.File.Path, $"The file is shard {number + 1} of {of} by its metadata; by its name it is {index + 1} of {count}.");
    }

    private static void CheckTensors(List<GgufShard> shards)
    {
        var fileOf = new Dictionary<string, string>();
        foreach (var shard in shards)
        {
            foreach (var place in shard.Header.Places)
            {
                if (fileOf.TryAdd(place.Name, shard.File.Path)) continue;

                throw new CheckpointException(shard.File.Path, $"Tensor {TensorName.Quote(place.Name)} is also in {Path.GetFileName(fileOf[place.Name])}.");
            }
        }

        if (Integer(shards[0], GgufKeys.TensorsOfAllShards) is { } total && total != fileOf.Count)
        {
            throw new CheckpointException(shards[0].File.Path, $"Metadata '{GgufKeys.TensorsOfAllShards}' is {total}; the {shards.Count} shards have {fileOf.Count} tensors. They are of different models.");
        }
    }

    private static long? Integer(GgufShard shard, string key) => shard.Header.Metadata.GetValueOrDefault(key)?.GetInteger();
}
