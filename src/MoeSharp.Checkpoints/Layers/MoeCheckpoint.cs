using System.Diagnostics;
using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A model in a folder or a GGUF file, of any known family: what it is, and its MoE layers. Opening it reads the config and the headers of its
/// files, and holds one against the other: every parameter of a MoE layer must be there once, in the right shape and type, and nothing else of a
/// MoE layer may be. Weights are read when they are asked for. Reading is safe from several threads at once; closing while others read is not.
/// </summary>
[DebuggerDisplay("{Path}: {Model.Family}, {MoeLayers.Count} MoE layers")]
public sealed class MoeCheckpoint : IDisposable
{
    private const string GgufExtension = ".gguf";

    private readonly IDisposable _files;
    private readonly Func<string, IWeightIndex> _weightsOf;
    private readonly Lazy<JsonObject?> _config;

    private MoeCheckpoint(string path, ModelDescription model, ModelFamily family, ITensorSource tensors, IDisposable files, LayerPlace place, Func<string, IWeightIndex> weightsOf, Func<JsonObject?> config)
    {
        (Path, Model, Family, Tensors, _files, Place, _weightsOf, _config) = (path, model, family, tensors, files, place, weightsOf, new(config));
        MoeLayers = [.. model.HeldMoeLayers];
    }

    /// <summary>The folder or file as given to <see cref="Open"/>.</summary>
    public string Path { get; }

    /// <summary>What its config says.</summary>
    public ModelDescription Model { get; }

    /// <summary>All tensors.</summary>
    public ITensorSource Tensors { get; }

    /// <summary>The family that the config names.</summary>
    internal ModelFamily Family { get; }

    /// <summary>Where its layers are.</summary>
    internal LayerPlace Place { get; }

    /// <summary>What becomes of the names outside of MoE layers where they are not the family's usual ones: of GGUF files and of makers' own; else null.</summary>
    internal TensorNames? Names { get; private init; }

    /// <summary>Where a conversion puts the layers.</summary>
    internal LayerPlace Target => Names is null ? Place : new(Family.Layouts[0], Family.Layouts[0].Prefixes[0]);

    /// <summary>The config in the family's usual keys where the files have it in others; null for the folder's own file.</summary>
    internal JsonObject? Config => _config.Value;       // for conversions alone

    /// <summary>The indices of the layers that are a Mixture of Experts, and that are here (<see cref="ModelDescription.HeldLayers"/>).</summary>
    public IReadOnlyList<int> MoeLayers { get; }

    /// <summary>What is odd but harmless, a sentence each; empty as a rule.</summary>
    public IReadOnlyList<string> Warnings { get; private init; } = [];

    /// <summary>Opens a folder with a <c>config.json</c> and weights, or a GGUF file, and checks everything but the values of weights.</summary>
    /// <exception cref="CheckpointException">A file is damaged, of no known family, or config and tensors disagree; one message lists all that is wrong.</exception>
    public static MoeCheckpoint Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);

        return IsGguf(path) ? OpenGguf(path) : OpenFolder(path, valueLimit: 0, out _, out _);
    }

    /// <summary>Whether a path is that of a GGUF file.</summary>
    internal static bool IsGguf(string path) => System.IO.Path.GetExtension(path).Equals(GgufExtension, StringComparison.OrdinalIgnoreCase) && File.Exists(path);

    private static MoeCheckpoint OpenGguf(string path)
    {
        var file = GgufFile.Open(path);
        try
        {
            var (model, family, names, config) = GgufConfig.Read(file, out var warnings);
            var place = new LayerPlace(GgufFamily.Layout, GgufFamily.Layout.Prefixes[0]);
            return Checked(path, model, family, file, file, place, warnings, new GgufWeights(file), _ => new GgufWeights(file), names, () => config);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens a folder, and checks the values of scales where all have no more bytes than <paramref name="valueLimit"/>.</summary>
    internal static MoeCheckpoint OpenFolder(string folder, long valueLimit, out ModelFolder files, out WeightIndex weights)
    {
        if (File.Exists(folder)) throw new CheckpointException(folder, "This is a file; expected a folder with a model's config and weights, or a GGUF file.");
        if (!Directory.Exists(folder)) throw new CheckpointException(folder, "There is no such folder.");
        string config = ModelConfig.FileIn(folder);
        if (!File.Exists(config)) throw NoConfig(folder, config);

        (var (model, family), var configWarnings, files) = ReadTogether(folder, config);
        try
        {
            var (opened, quantization, place) = (files, model.Quantization, LayerPlace.Find(family, files.Tensors.Keys, model.Layers.Count));
            weights = new WeightIndex(files, quantization, valueLimit: valueLimit);
            var names = family.Native is { } native && native.Prefix == place.Prefix ? native.Names : null;
            return Checked(
                folder, model, family, files, files, place, [.. configWarnings, .. files.Warnings], weights, prefix => new WeightIndex(opened, quantization, prefix), names, () => NativeConfig.FindPublished(config));
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    private static CheckpointException NoConfig(string folder, string config)
    {
        try
        {
            File.GetAttributes(config);       // of a file in a folder that may not be searched, File.Exists says that it is not there
        }
        catch (UnauthorizedAccessException error)
        {
            return new(folder, $"Access to {ModelConfig.FileName} is denied. Ask for the right to read the folder and its files.", error);
        }
        catch (IOException)
        {
            // it is not there
        }

        return new(folder, $"The folder has no {ModelConfig.FileName}, which says what the model is. Fetch it too, or name one of the folder's files.");
    }

    /// <summary>Reads the config while the headers are read: those of a thousand files take as long. A faulty config is told first.</summary>
    private static ((ModelDescription Model, ModelFamily Family) Described, IReadOnlyList<string> Warnings, ModelFolder Files) ReadTogether(string folder, string config)
    {
        var opening = Task.Run(() => ModelFolder.Open(folder));
        try
        {
            return (ModelConfig.ReadWithFamily(config, out var warnings), warnings, opening.GetAwaiter().GetResult());
        }
        catch
        {
            Task.WaitAny(opening);
            if (opening.IsCompletedSuccessfully) opening.Result.Dispose();
            throw;
        }
    }

    private static MoeCheckpoint Checked(
        string path, ModelDescription model, ModelFamily family, ITensorSource tensors, IDisposable files, LayerPlace place, IReadOnlyList<string> warnings, IWeightIndex all, Func<string, IWeightIndex> weightsOf,
        TensorNames? names, Func<JsonObject?> config)
    {
        var check = new CheckpointCheck(model, tensors, place, all);
        check.Run();
        return new MoeCheckpoint(path, model, family, tensors, files, place, weightsOf, config) { Names = names, Warnings = [.. warnings, .. check.Warnings] };
    }

    /// <summary>A MoE layer; the values that could contradict its shapes (scales, groups) are checked first.</summary>
    /// <param name="index">The layer's place in the model, from 0.</param>
    /// <exception cref="ArgumentException">That layer is dense, or there is none.</exception>
    /// <exception cref="CheckpointException">Values contradict; one message lists all faults.</exception>
    public StoredMoeLayer Layer(int index)
    {
        if (NoMoeLayer(index) is { } fault) throw new ArgumentException(fault, nameof(index));

        var faults = new List<string>();
        var weights = _weightsOf(Place.PrefixOf(index));
        return LayerResolver.Resolve(weights, Place, Model.Quantization, index, Model.Moe(index), [], faults) ?? throw CheckpointException.Listing(Path, faults);
    }

    /// <summary>What is wrong with asking for a layer; null for a MoE layer that is here.</summary>
    internal string? NoMoeLayer(int index) => MoeLayers.Contains(index)
        ? null
        : $"Layer {index} is no Mixture of Experts{(Model.HeldLayers is null ? "" : " of this folder")}; of the {Model.Layers.Count} layers these are: {LayerRanges.Words(MoeLayers)}.";

    /// <summary>Loads a MoE layer for inference without TorchSharp; it keeps nothing of the checkpoint.</summary>
    /// <param name="index">The layer's place in the model, from 0.</param>
    /// <param name="precision">The type in which the experts are kept and multiplied; default float32.</param>
    /// <param name="progress">Hears of every expert, from several threads.</param>
    /// <param name="cancellationToken">Stops between experts.</param>
    /// <exception cref="ArgumentException">That layer is dense, or there is none.</exception>
    /// <exception cref="CheckpointException">Values contradict; one message lists all faults.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the weights.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public MoeLayer Load(int index, ExpertPrecision precision = ExpertPrecision.Float32, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        var stored = Layer(index);
        cancellationToken.ThrowIfCancellationRequested();
        var layer = new MoeLayer(stored.Options, precision);
        try
        {
            new KernelLayerLoader(stored, layer).Load(progress, cancellationToken);
            return layer;
        }
        catch
        {
            layer.Dispose();
            throw;
        }
    }

    /// <summary>Whether a tensor is of a layer that predicts several tokens at once, which files in other names have after the model's own.</summary>
    internal bool IsLeftOut(string tensor) => Names is not null && Place.TryParse(tensor, out int layer, out _) && layer >= Model.Layers.Count;

    /// <summary>Gives back the memory of mapped pages that were read; they can be read again.</summary>
    internal void ReleasePages() => (Tensors as IMappedFiles)?.Release();

    /// <summary>Closes the files; matrices of layers must no longer be decoded.</summary>
    public void Dispose() => _files.Dispose();
}
