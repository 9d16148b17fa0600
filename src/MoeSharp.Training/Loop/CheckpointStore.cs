using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// The checkpoints for resuming, <c>state/step-00000120/</c>: weights, moments and position. One appears whole, by renaming its folder, or
/// not at all; the latest few are kept, and the best.
/// </summary>
internal sealed class CheckpointStore
{
    private const string Weights = "model.safetensors", Moments = "optimizer.safetensors", State = "state.json";
    private const string Prefix = "step-", Partial = ".partial-";

    private readonly string _folder;
    private readonly int _keep;

    public CheckpointStore(string folder, int keep)
    {
        _folder = folder;
        _keep = keep;
    }

    /// <summary>Writes a checkpoint and removes those that are no longer kept; returns its folder.</summary>
    /// <exception cref="CheckpointException">The disk is full or not writable; the checkpoints before stay as they are.</exception>
    public string Save(DecoderModel model, AdamW optimizer, CheckpointState progress)
    {
        try
        {
            return Write(model, optimizer, progress);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            RemovePartial();
            throw new CheckpointException(_folder, $"The checkpoint of step {progress.Step} cannot be written: {e.Message} Those before it are whole: free some space, then resume the run.", e);
        }
    }

    /// <summary>Restores the newest checkpoint into a model and its optimiser; null when there is none yet.</summary>
    /// <exception cref="CheckpointException">The checkpoint is damaged or of another model.</exception>
    public CheckpointState? Load(DecoderModel model, AdamW optimizer)
    {
        RemovePartial();
        if (Steps().LastOrDefault() is not (> 0 and var step)) return null;

        string folder = FolderOf(step);
        var state = ReadState(folder);
        foreach (var (name, hash) in state.Files) Check(folder, name, hash);
        optimizer.Flush();      // what it has yet to do must not change what is loaded
        using (var files = ModelFolder.Open(folder)) ModelCheckpoint.LoadWeights(model, files, folder);
        LoadMoments(model, optimizer, Path.Combine(folder, Moments));
        return state;
    }

    private string Write(DecoderModel model, AdamW optimizer, CheckpointState progress)
    {
        string final = FolderOf(progress.Step), partial = Path.Combine(_folder, $"{Partial}{progress.Step}");
        Directory.CreateDirectory(_folder);
        RemovePartial();
        Directory.CreateDirectory(partial);

        optimizer.Flush();
        ModelCheckpoint.SaveWeights(model, Path.Combine(partial, Weights));
        SaveMoments(model, optimizer, Path.Combine(partial, Moments));
        var state = progress with { Files = new() { [Weights] = Hash(Path.Combine(partial, Weights)), [Moments] = Hash(Path.Combine(partial, Moments)) } };
        AtomicFile.WriteAllText(Path.Combine(partial, State), JsonSerializer.Serialize(state, TrainingJson.Indented.CheckpointState) + "\n");

        if (Directory.Exists(final)) Directory.Delete(final, recursive: true);
        Directory.Move(partial, final);
        Prune();
        return final;
    }

    private string FolderOf(int step) => Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step:D8}"));

    private IEnumerable<int> Steps() => Directory.Exists(_folder)
        ? Directory.EnumerateDirectories(_folder, $"{Prefix}*").Select(folder => int.Parse(Path.GetFileName(folder)[Prefix.Length..], CultureInfo.InvariantCulture)).Order()
        : [];

    private void RemovePartial()
    {
        if (!Directory.Exists(_folder)) return;
        foreach (string partial in Directory.EnumerateDirectories(_folder, $"{Partial}*")) Directory.Delete(partial, recursive: true);
    }

    private void Prune()
    {
        int[] steps = [.. Steps()];
        if (steps.Length <= _keep) return;

        int best = steps.MinBy(step => ReadState(FolderOf(step)).HeldOutBitsPerByte ?? double.PositiveInfinity);
        foreach (int step in steps.SkipLast(_keep).Where(step => step != best))
        {
            // renamed first: a run that is killed while deleting leaves no checkpoint that only looks whole
            string doomed = Path.Combine(_folder, $"{Partial}{step}");
            Directory.Move(FolderOf(step), doomed);
            Directory.Delete(doomed, recursive: true);
        }
    }

    private static CheckpointState ReadState(string folder)
    {
        string file = Path.Combine(folder, State);
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(file), TrainingJson.Default.CheckpointState) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            throw Damaged(folder, $"{State} cannot be read ({e.Message})", e);
        }
    }

    private static void Check(string folder, string name, string hash)
    {
        string file = Path.Combine(folder, name);
        if (!File.Exists(file)) throw Damaged(folder, $"{name} is missing");
        if (Hash(file) != hash) throw Damaged(folder, $"{name} is not what was written (its SHA-256 differs)");
    }

    private static CheckpointException Damaged(string folder, string what, Exception? inner = null) =>
        new(folder, $"The checkpoint is damaged: {what}. Remove that folder to resume from the checkpoint before it.", inner);

    private static string Hash(string file)
    {
        using var stream = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static void SaveMoments(DecoderModel model, AdamW optimizer, string path)
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(path, [.. MomentsOf(model, optimizer).Select(moment => TensorMemory.ToWrite(moment.Name, moment.Value))]);
    }

    private static void LoadMoments(DecoderModel model, AdamW optimizer, string path)
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        using var file = SafetensorsFile.Open(path);
        foreach (var (name, value) in MomentsOf(model, optimizer))
        {
            if (!file.Tensors.TryGetValue(name, out var stored) || !stored.Shape.SequenceEqual(value.shape))
                throw new CheckpointException(path, $"There is no tensor '{name}' of shape [{string.Join(", ", value.shape)}]: it belongs to another model.");
            if (!TensorMemory.CanFill(value, stored.Type)) throw new CheckpointException(path, $"'{name}' is {stored.Type}; expected {value.dtype}. Resume with the moments that the run began with.");
            TensorMemory.Fill(value, stored.Type, file.Bytes(name));
        }
    }

    private static IEnumerable<(string Name, Tensor Value)> MomentsOf(DecoderModel model, AdamW optimizer)
    {
        var names = model.named_parameters().ToDictionary(named => named.parameter.Handle, named => named.name);
        foreach (var slot in optimizer.Slots)
        {
            string name = names[slot.Parameter.Handle];
            yield return ($"first.{name}", slot.First);
            yield return ($"second.{name}", slot.Second);
            yield return ($"steps.{name}", slot.Steps);
            if (slot.Master is { } master) yield return ($"master.{name}", master);
        }
    }
}
