namespace MoeSharp.Checkpoints;

/// <summary>
/// Opens the shards of a folder and holds them against the index. The index decides which shard a tensor is read from; it may name
/// plain files of the folder only, so that no index reaches outside. Faults are gathered over the whole folder before one is thrown.
/// </summary>
internal sealed class ShardedModelReader(string folder)
{
    private readonly List<string> _faults = [];
    private readonly List<string> _warnings = [];
    private readonly OrderedDictionary<string, Shard> _shards = [];
    private readonly Dictionary<string, SafetensorsFile?> _fileOf = [];
    private long _bytes;

    /// <summary>Opens everything, or throws one <see cref="CheckpointException"/> with all faults and leaves nothing open.</summary>
    public ModelFolder Open()
    {
        var index = ShardIndex.Read(Path.Combine(folder, ShardIndex.FileName));
        try
        {
            OpenShards(index);
            _fileOf.EnsureCapacity(index.WeightMap.Count);
            foreach (var (tensor, shard) in index.WeightMap) Assign(tensor, _shards[shard]);

            if (_faults.Count > 0) throw CheckpointException.Listing(Path.Combine(folder, ShardIndex.FileName), _faults);

            WarnOfUnusedTensors();
            WarnOfTotalSize(index.TotalSize);
            // without a fault there is a file for every tensor
            return new ModelFolder(folder, [.. _shards.Values.Select(shard => shard.File!)], _fileOf!, _warnings);
        }
        catch
        {
            foreach (var shard in _shards.Values) shard.File?.Dispose();
            throw;
        }
    }

    /// <summary>Opens all files that the index names, several at once: of a thousand, each waits for the disk.</summary>
    private void OpenShards(ShardIndex index)
    {
        foreach (var (_, name) in index.WeightMap)
        {
            if (!_shards.ContainsKey(name)) _shards.Add(name, new Shard(name));
        }

        Parallel.ForEach(_shards.Values, Open);
    }

    private void Assign(string tensor, Shard shard)
    {
        if (!_fileOf.TryAdd(tensor, shard.File)) _faults.Add($"The index names tensor {TensorName.Quote(tensor)} twice.");
        else if (shard.File is null) ReportOnce(shard);
        else if (!shard.File.Tensors.TryGetValue(tensor, out var info)) _faults.Add($"The index sends tensor {TensorName.Quote(tensor)} to {TensorName.Quote(shard.Name)}, which does not have it.");
        else
        {
            _bytes += info.ByteCount;
            shard.Taken++;
        }
    }

    private void ReportOnce(Shard shard)
    {
        if (shard.Fault is { } fault) _faults.Add(fault);
        shard.Fault = null;
    }

    private void Open(Shard shard)
    {
        string path = Path.Combine(folder, shard.Name);
        shard.Fault = !IsPlainName(shard.Name) ? $"The index names the file {TensorName.Quote(shard.Name)}; only a plain name of a .safetensors file in the same folder is allowed."
            : !File.Exists(path) ? $"The index names the file {TensorName.Quote(shard.Name)}, which is not there."
            : null;
        if (shard.Fault is not null) return;

        try
        {
            shard.File = SafetensorsFile.Open(path);
        }
        catch (CheckpointException e)
        {
            shard.Fault = e.Message;
        }
    }

    private static bool IsPlainName(string name) =>
        name.EndsWith(".safetensors", StringComparison.Ordinal) && name.IndexOfAny(['/', '\\', ':', '\0']) < 0 && TensorName.FindFault(name) is null;

    private void WarnOfUnusedTensors()
    {
        foreach (var shard in _shards.Values)
        {
            var file = shard.File!;       // without a fault there is one
            if (shard.Taken == file.Tensors.Count) continue;

            string[] unused = [.. file.Tensors.Keys.Where(name => _fileOf.GetValueOrDefault(name) != file)];
            _warnings.Add(
                $"{shard.Name} has tensors that the index does not take from it and that are not used: {unused.Length}, the first {TensorName.Quote(unused[0])}.");
        }
    }

    private void WarnOfTotalSize(long? announced)
    {
        if (announced is { } size && size != _bytes)
        {
            _warnings.Add($"{ShardIndex.FileName} gives a total_size of {size} bytes; its tensors have {_bytes}.");
        }
    }

    /// <summary>A file that the index names.</summary>
    private sealed class Shard(string name)
    {
        public string Name => name;

        /// <summary>The file; null when it is at fault.</summary>
        public SafetensorsFile? File { get; set; }

        /// <summary>Why it is at fault, until that is reported.</summary>
        public string? Fault { get; set; }

        /// <summary>How many of its tensors the index takes from it.</summary>
        public int Taken { get; set; }
    }
}
