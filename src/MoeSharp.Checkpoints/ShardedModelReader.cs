namespace MoeSharp.Checkpoints;

/// <summary>
/// Opens the shards of a folder and holds them against the index. The index decides which shard a tensor is read from; it may name
/// plain files of the folder only, so that no index reaches outside. Faults are gathered over the whole folder before one is thrown.
/// </summary>
internal sealed class ShardedModelReader(string folder)
{
    private readonly List<string> _faults = [];
    private readonly List<string> _warnings = [];
    private readonly OrderedDictionary<string, SafetensorsFile?> _shards = []; // null: named, but at fault
    private readonly Dictionary<string, SafetensorsFile> _fileOf = [];

    /// <summary>Opens everything, or throws one <see cref="CheckpointException"/> with all faults and leaves nothing open.</summary>
    public ModelFolder Open()
    {
        var index = ShardIndex.Read(Path.Combine(folder, ShardIndex.FileName));
        try
        {
            var names = new HashSet<string>();
            foreach (var (tensor, shard) in index.WeightMap)
            {
                if (!names.Add(tensor)) _faults.Add($"The index names tensor {TensorName.Quote(tensor)} twice.");
                else Assign(tensor, shard);
            }

            if (_faults.Count > 0) throw CheckpointException.Listing(Path.Combine(folder, ShardIndex.FileName), _faults);

            WarnOfUnusedTensors();
            WarnOfTotalSize(index.TotalSize);
            return new ModelFolder(folder, [.. _shards.Values.OfType<SafetensorsFile>()], _fileOf, _warnings);
        }
        catch
        {
            foreach (var shard in _shards.Values) shard?.Dispose();
            throw;
        }
    }

    private void Assign(string tensor, string shard)
    {
        if (!_shards.TryGetValue(shard, out var file)) _shards.Add(shard, file = OpenShard(shard));
        if (file is null) return; // reported once, when it failed to open

        if (file.Tensors.ContainsKey(tensor)) _fileOf.Add(tensor, file);
        else _faults.Add($"The index sends tensor {TensorName.Quote(tensor)} to {TensorName.Quote(shard)}, which does not have it.");
    }

    private SafetensorsFile? OpenShard(string shard)
    {
        if (!IsPlainName(shard))
        {
            _faults.Add($"The index names the file {TensorName.Quote(shard)}; only a plain name of a .safetensors file in the same folder is allowed.");
            return null;
        }

        string path = Path.Combine(folder, shard);
        if (!File.Exists(path))
        {
            _faults.Add($"The index names the file {TensorName.Quote(shard)}, which is not there.");
            return null;
        }

        try
        {
            return SafetensorsFile.Open(path);
        }
        catch (CheckpointException e)
        {
            _faults.Add(e.Message);
            return null;
        }
    }

    private static bool IsPlainName(string name) =>
        name.EndsWith(".safetensors", StringComparison.Ordinal) && name.IndexOfAny(['/', '\\', ':', '\0']) < 0 && TensorName.FindFault(name) is null;

    private void WarnOfUnusedTensors()
    {
        foreach (var (shard, file) in _shards)
        {
            string[] unused = [.. file!.Tensors.Keys.Where(name => _fileOf.GetValueOrDefault(name) != file)]; // no null without a fault
            if (unused.Length > 0)
            {
                _warnings.Add(
                    $"{shard} has tensors that the index does not take from it and that are not used: {unused.Length}, the first {TensorName.Quote(unused[0])}.");
            }
        }
    }

    private void WarnOfTotalSize(long? announced)
    {
        long actual = _fileOf.Sum(entry => entry.Value.Tensors[entry.Key].ByteCount);
        if (announced is { } size && size != actual)
        {
            _warnings.Add($"{ShardIndex.FileName} gives a total_size of {size} bytes; its tensors have {actual}.");
        }
    }
}
