using System.Text.Json;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// A language model as a Hugging Face folder: <c>config.json</c>, <c>model.safetensors</c> under the published names, and
/// <c>generation_config.json</c>; transformers loads it unchanged. The tokenizer's files are <see cref="ByteLevelTokenizer"/>'s.
/// </summary>
public static class ModelCheckpoint
{
    /// <summary>Loads a Qwen3-MoE model; every tensor of the checkpoint is used exactly once. It is in evaluation mode; call <c>train()</c> to train it.</summary>
    /// <param name="folder">A folder with <c>config.json</c> and <c>model.safetensors</c>, or shards and their index; experts under their published names, or stacked.</param>
    /// <param name="precision">The type that matrix products compute in.</param>
    /// <exception cref="CheckpointException">A file is damaged, or config and tensors disagree; one message lists all that is wrong.</exception>
    public static DecoderModel Load(string folder, ComputePrecision precision = ComputePrecision.Float32)
    {
        var options = Qwen3MoeConfig.Read(Path.Combine(folder, "config.json"));
        using var files = ModelFolder.Open(folder);
        CheckSize(folder, options, files);

        var model = new DecoderModel(options, precision);
        try
        {
            LoadWeights(model, files, folder);
            model.eval();
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Writes a model's files into an existing folder, each aside and renamed.</summary>
    /// <exception cref="IOException">The disk is full, or the folder is missing.</exception>
    public static void Save(DecoderModel model, string folder)
    {
        SaveWeights(model, Path.Combine(folder, "model.safetensors"));
        AtomicFile.WriteAllText(Path.Combine(folder, "config.json"), Qwen3MoeConfig.Write(model.Options));
        AtomicFile.WriteAllText(Path.Combine(folder, "generation_config.json"), GenerationConfig(model.Options));
    }

    internal static void SaveWeights(DecoderModel model, string path)
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(path, [.. PublishedWeights.Of(model).Select(weight => TensorMemory.ToWrite(weight.Name, weight.Of(weight.Parameter)))]);
    }

    internal static void LoadWeights(DecoderModel model, ModelFolder files, string folder)
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        PublishedWeight[] weights = [.. PublishedWeights.Of(model)];

        var tensors = new PublishedTensors(files);

        var faults = FaultsOf(weights, tensors, files, model.Options.TieEmbeddings);
        if (faults.Count > 0) throw CheckpointException.Listing(folder, faults);

        foreach (var weight in weights)
        {
            using var each = NewDisposeScope();
            var values = tensors.Find(weight)!.Values();        // or there were faults
            TensorMemory.Fill(weight.Of(weight.Parameter), values.Info.Type, values.Bytes(0, checked((int)values.Info.ByteCount)));
        }
    }

    /// <summary>Refuses a config whose weights could not be in the files, before memory is taken by its word.</summary>
    private static void CheckSize(string folder, DecoderOptions options, ModelFolder files)
    {
        double expected = ModelSize.Of(options).Parameters, stored = files.Tensors.Values.Sum(tensor => (double)tensor.ByteCount);
        if (stored < expected)      // less than one byte per weight: no type that is read here is so small
            throw new CheckpointException(folder, $"config.json describes {expected:N0} weights, but the files hold only {stored:N0} bytes. Check that config and weights are of the same model.");
    }

    private static List<string> FaultsOf(PublishedWeight[] weights, PublishedTensors tensors, ModelFolder files, bool isTied)
    {
        var faults = new OrderedDictionary<string, string>();       // by tensor: one of stacked experts holds many weights
        foreach (var weight in weights)
        {
            if (tensors.Find(weight) is not { } found) faults.TryAdd(weight.Name, $"tensor '{weight.Name}' is missing; expected shape [{string.Join(", ", weight.Of(weight.Parameter).shape)}]");
            else if (FaultOf(found) is { } fault) faults.TryAdd(found.Stored.Info.Name, fault);
        }

        foreach (string extra in tensors.Unused)
        {
            // some writers store the tied head as well; it is used if it says the same
            if (isTied && extra == "lm_head.weight" && files.Bytes(extra).SequenceEqual(files.Bytes("model.embed_tokens.weight"))) continue;
            faults.TryAdd(extra, $"tensor '{extra}' is not part of the model that config.json describes");
        }

        return [.. faults.Values];
    }

    private static string? FaultOf(FoundTensor found)
    {
        var stored = found.Stored.Info;
        if (!stored.Shape.SequenceEqual(found.Expected)) return $"tensor '{stored.Name}' has shape [{string.Join(", ", stored.Shape)}]; config.json asks for [{string.Join(", ", found.Expected)}]";

        var parameter = found.Weight.Parameter;
        return TensorMemory.CanFill(parameter, stored.Type) ? null : $"tensor '{stored.Name}' is {stored.Type}; expected {(parameter.is_floating_point() ? "F32, BF16 or F16" : "I64")}";
    }

    private static string GenerationConfig(DecoderOptions options)
    {
        var values = new Dictionary<string, int>();
        if (options.BeginOfTextId is { } begin) values["bos_token_id"] = begin;
        if (options.EndOfTextId is { } end) values["eos_token_id"] = end;
        return JsonSerializer.Serialize(values, TrainingJson.Indented.DictionaryStringInt32) + "\n";
    }
}
