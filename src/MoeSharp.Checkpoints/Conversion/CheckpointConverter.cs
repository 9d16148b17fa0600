using System.Text.Encodings.Web;
using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Writes a checkpoint in another form: experts one by one or stacked, as another type, dequantized, in other files. Weights stream from the
/// source to the target; of them no more than one expert's matrix is in memory. Without rounding, the way back gives the same tensors, byte by
/// byte.
/// </summary>
public static class CheckpointConverter
{
    private static readonly JsonWriterOptions Readable = new() { Indented = true, IndentSize = 2, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// Converts into a folder, file by file, each of which appears whole. A run that was stopped or killed is continued by another with the same
    /// source and options; other options begin anew.
    /// </summary>
    /// <param name="source">What is converted.</param>
    /// <param name="target">The folder; made where there is none. It must be empty, or hold a conversion that was not finished.</param>
    /// <param name="options">What to convert to; null for a copy.</param>
    /// <param name="progress">Hears what was written, about a thousand times in all.</param>
    /// <param name="cancellationToken">Stops the conversion, also inside a tensor; whole files stay.</param>
    /// <exception cref="ArgumentException">The options have faults, or a layer that they name is no MoE layer; the message lists them.</exception>
    /// <exception cref="CheckpointException">The target is in use, the family has no such form, or the source is damaged.</exception>
    /// <exception cref="IOException">The disk is full.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static ConversionSummary Convert(MoeCheckpoint source, string target, ConversionOptions? options = null, IProgress<ConversionProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentException.ThrowIfNullOrEmpty(target);
        CheckTarget(source, target, options ??= new());
        var work = Work.Of(source, options);
        var (_, plan, shards, names, sideFiles) = work;
        Begin(target, ConversionManifest.Of(source, options, shards, [.. names, ModelConfig.FileName, ShardIndex.FileName, .. sideFiles]));

        var counter = new ProgressCounter(plan.Tensors.Sum(ConversionPlan.ByteCount), progress, source.ReleasePages);
        int before = 0;
        for (int i = 0; i < shards.Count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (IsWritten(Path.Combine(target, names[i]), shards[i])) before += counter.Skip(shards[i]);
            else SafetensorsWriter.Write(Path.Combine(target, names[i]), counter.Count(shards[i]), metadata: null, cancellationToken);
        }

        foreach (string file in sideFiles) AtomicFile.Write(Path.Combine(target, file), stream => CopyTo(Path.Combine(source.Path, file), stream));
        byte[] converted = ConvertedConfig.Convert(source, options, plan);
        AtomicFile.Write(Path.Combine(target, ModelConfig.FileName), stream => stream.Write(converted));
        if (shards.Count > 1) AtomicFile.Write(Path.Combine(target, ShardIndex.FileName), stream => WriteIndex(stream, shards, names));
        File.Delete(Path.Combine(target, ConversionManifest.FileName));
        return work.Summary(target, before);
    }

    /// <summary>
    /// A conversion that is finished: the target has every file of it, with every tensor of its name, type and shape. Whether the values are the
    /// source's, <see cref="ConversionProof"/> says.
    /// </summary>
    /// <param name="source">What was converted.</param>
    /// <param name="target">The folder that may hold the result.</param>
    /// <param name="options">What to convert to; null for a copy.</param>
    /// <returns>What the conversion wrote; null where it is not finished, or there is none.</returns>
    /// <exception cref="ArgumentException">The options have faults, or a layer that they name is no MoE layer; the message lists them.</exception>
    /// <exception cref="CheckpointException">The family has no such form, or the source is damaged.</exception>
    public static ConversionSummary? FindFinished(MoeCheckpoint source, string target, ConversionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentException.ThrowIfNullOrEmpty(target);
        if (!File.Exists(Path.Combine(target, ModelConfig.FileName)) || File.Exists(Path.Combine(target, ConversionManifest.FileName))) return null;

        var work = Work.Of(source, options ?? new());
        var (_, _, shards, names, _) = work;
        bool isFinished = shards.Zip(names).All(shard => IsWritten(Path.Combine(target, shard.Second), shard.First)) && (shards.Count == 1 || File.Exists(Path.Combine(target, ShardIndex.FileName)));
        return isFinished ? work.Summary(target, names.Length) : null;
    }

    /// <summary>What a conversion has to do.</summary>
    private sealed record Work(MoeCheckpoint Source, ConversionPlan Plan, IReadOnlyList<IReadOnlyList<TensorToWrite>> Shards, string[] Names, IReadOnlyList<string> SideFiles)
    {
        public static Work Of(MoeCheckpoint source, ConversionOptions options)
        {
            options.Validate();
            var plan = ConversionPlanner.Make(source, options, ConvertedConfig.TypeOf(source));
            var shards = plan.Shards(options.MaxShardBytes);
            return new(source, plan, shards, [.. shards.Select((_, index) => ShardName(index, shards.Count))], Checkpoints.SideFiles.Find(source, plan.IsDequantized));
        }

        public ConversionSummary Summary(string target, int before) =>
            new(target, Names, Plan.Tensors.Count, Plan.Tensors.Sum(ConversionPlan.ByteCount), Plan.IsDequantized) { FilesBefore = before, Notes = [.. Notes()] };

        private IEnumerable<string> Notes()
        {
            if (Source.Tensors is GgufFile) yield return "The tokenizer of the GGUF file does not come along; take it from the model's own files.";

            int left = Source.Tensors.Tensors.Keys.Count(Source.IsLeftOut);
            if (left > 0) yield return $"Layers after the first {Source.Model.Layers.Count}, which predict several tokens at once, do not come along; tensors left out: {left}.";
        }
    }

    private static string ShardName(int index, int count) => count == 1 ? ModelFolder.SingleFileName : $"model-{index + 1:00000}-of-{count:00000}.safetensors";

    private static void CheckTarget(MoeCheckpoint source, string target, ConversionOptions options)
    {
        if (Path.TrimEndingDirectorySeparator(Path.GetFullPath(source.Path)) == Path.TrimEndingDirectorySeparator(Path.GetFullPath(target)))
            throw new CheckpointException(target, "The target is the source. Choose another folder.");
        if (File.Exists(target)) throw new CheckpointException(target, "The target is a file. Choose a folder.");
        if (!Directory.Exists(target) || File.Exists(Path.Combine(target, ConversionManifest.FileName)) || !Directory.EnumerateFileSystemEntries(target).Any()) return;

        throw new CheckpointException(target, FindFinished(source, target, options) is null
            ? "The target is not empty, and holds no conversion that could be continued. Choose another folder, or empty it."
            : "The target holds this conversion, finished: there is nothing to do. To hold it against the source, prove it (moesharp convert: --prove); to convert again, choose another folder, or empty it.");
    }

    /// <summary>Makes the target ready: for going on with what another run of the same plan left, or for a new beginning.</summary>
    private static void Begin(string target, ConversionManifest manifest)
    {
        Directory.CreateDirectory(target);
        var before = ConversionManifest.Find(target);
        if (before?.Plan == manifest.Plan) return;

        foreach (string file in before?.Files ?? []) File.Delete(Path.Combine(target, file));
        manifest.Write(target);
    }

    // files appear whole: what has the planned header is done
    private static bool IsWritten(string path, IReadOnlyList<TensorToWrite> tensors)
    {
        if (!File.Exists(path)) return false;

        try
        {
            using var file = SafetensorsFile.Open(path);
            return file.Tensors.Count == tensors.Count
                && tensors.All(tensor => file.Tensors.TryGetValue(tensor.Name, out var info) && info.Type == tensor.Type && info.Shape.SequenceEqual(tensor.Shape));
        }
        catch (CheckpointException)
        {
            return false;       // it is written again
        }
    }

    private static void CopyTo(string file, Stream to)
    {
        using var from = File.OpenRead(file);
        from.CopyTo(to);
    }

    private static void WriteIndex(Stream stream, IReadOnlyList<IReadOnlyList<TensorToWrite>> shards, string[] names)
    {
        using var json = new Utf8JsonWriter(stream, Readable);
        json.WriteStartObject();
        json.WriteStartObject("metadata");
        json.WriteNumber("total_size", shards.Sum(shard => shard.Sum(ConversionPlan.ByteCount)));
        json.WriteEndObject();
        json.WriteStartObject("weight_map");
        foreach (var (tensor, name) in shards.SelectMany((shard, index) => shard.Select(tensor => (tensor.Name, names[index]))).OrderBy(entry => entry.Name, StringComparer.Ordinal)) json.WriteString(tensor, name);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
