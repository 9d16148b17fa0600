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
    private readonly Dictionary<string, SafetensorsFile?> _fileOf = [];
    private readonly Dictionary<SafetensorsFile, int> _taken = [];          // how many of a file's tensors the index takes from it
    private readonly Dictionary<string, string> _faultOf = [];              // why a file is at fault, until it is reported
    private long _bytes;

    /// <summary>Opens everything, or throws one <see cref="CheckpointException"/> with all faults and leaves nothing open.</summary>
    public ModelFolder Open()
    {
        var index = ShardIndex.Read(Path.Combine(folder, ShardIndex.FileName));
        try
        {
            OpenShards(index);
            _fileOf.EnsureCapacity(index.WeightMap.Count);
            foreach (var (tensor, shard) in index.WeightMap) Assign(tensor, shard);

            if (_faults.Count > 0) throw CheckpointException.Listing(Path.Combine(folder, ShardIndex.FileName), _faults);

            WarnOfUnusedTensors();
            WarnOfTotalSize(index.TotalSize);
            // without a fault there is a file for every tensor
            return new ModelFolder(folder, [.. _shards.Values.OfType<SafetensorsFile>()], _fileOf!, _warnings);
        }
        catch
        {
            foreach (var shard in _shards.Values) shard?.Dispose();
            throw;
        }
    }

    /// <summary>Opens all files that the index names, several at once: of a thousand, each waits for the disk.</summary>
    private void OpenShards(ShardIndex index)
    {
        string[] shards = [.. index.WeightMap.Select(entry => entry.Value).Distinct()];
        var files = new SafetensorsFile?[shards.Length];
        var faults = new string?[shards.Length];
        try
        {
            Parallel.For(0, shards.Length, i => files[i] = OpenShard(shards[i], out faults[i]));
        }
        finally
        {
            for (int i = 0; i < shards.Length; i++) _shards.Add(shards[i], files[i]);
        }

        for (int i = 0; i < shards.Length; i++)
        {
            if (faults[i] is { } fault) _faultOf.Add(shards[i], fault);
        }
    }

    private void Assign(string tensor, string shard)
    {
        var file = _shards[shard];
        if (!_fileOf.TryAdd(tensor, file)) _faults.Add($"The index names tensor {TensorName.Quote(tensor)} twice.");
        else if (file is null) ReportOnce(shard);
        else if (!file.Tensors.TryGetValue(tensor, out var info)) _faults.Add($"The index sends tensor {TensorName.Quote(tensor)} to {TensorName.Quote(shard)}, which does not have it.");
        else
        {
            _bytes += info.ByteCount;
            _taken[file] = _taken.GetValueOrDefault(file) + 1;
        }
    }

    private void ReportOnce(string shard)
    {
        if (_faultOf.Remove(shard, out string? fault)) _faults.Add(fault);
    }

    private SafetensorsFile? OpenShard(string shard, out string? fault)
    {
        string path = Path.Combine(folder, shard);
        fault = !IsPlainName(shard) ? $"The index names the file {TensorName.Quote(shard)}; only a plain name of a .safetensors file in the same folder is allowed."
            : !File.Exists(path) ? $"The index names the file {TensorName.Quote(shard)}, which is not there."
            : null;
        if (fault is not null) return null;

        try
        {
            return SafetensorsFile.Open(path);
        }
        catch (CheckpointException e)
        {
            fault = e.Message;
            return null;
        }
    }

    private static bool IsPlainName(string name) =>
        name.EndsWith(".safetensors", StringComparison.Ordinal) && name.IndexOfAny(['/', '\\', ':', '\0']) < 0 && TensorName.FindFault(name) is null;

    private void WarnOfUnusedTensors()
    {
        foreach (var (shard, file) in _shards)
        {
            if (_taken.GetValueOrDefault(file!) == file!.Tensors.Count) continue;       // no null without a fault

            string[] unused = [.. file.Tensors.Keys.Where(name => _fileOf.GetValueOrDefault(name) != file)];
            _warnings.Add(
                $"{shard} has tensors that the index does not take from it and that are not used: {unused.Length}, the first {TensorName.Quote(unused[0])}.");
        }
    }

    private void WarnOfTotalSize(long? announced)
    {
        if (announced is { } size && size != _bytes)
        {
            _warnings.Add($"{ShardIndex.FileName} gives a total_size of {size} bytes; its tensors have {_bytes}.");
        }
    }
}
