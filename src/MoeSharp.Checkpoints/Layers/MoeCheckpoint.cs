using System.Diagnostics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A model in a folder, of any known family: what it is, and its MoE layers. Opening it reads the config and the headers of its files, and holds
/// one against the other: every parameter of a MoE layer must be there once, in the right shape and type, and nothing else of a MoE layer may
/// be. Weights are read when they are asked for. Reading is safe from several threads at once; closing while others read is not.
/// </summary>
[DebuggerDisplay("{Path}: {Model.Family}, {MoeLayers.Count} MoE layers")]
public sealed class MoeCheckpoint : IDisposable
{
    private readonly ModelFolder _files;

    private MoeCheckpoint(string path, ModelDescription model, ModelFolder files, LayerPlace place)
    {
        (Path, Model, _files, Place) = (path, model, files, place);
        MoeLayers = [.. model.MoeLayers];
    }

    /// <summary>The folder as given to <see cref="Open"/>.</summary>
    public string Path { get; }

    /// <summary>What its config says.</summary>
    public ModelDescription Model { get; }

    /// <summary>All tensors.</summary>
    public ITensorSource Tensors => _files;

    /// <summary>The indices of the layers that are a Mixture of Experts.</summary>
    public IReadOnlyList<int> MoeLayers { get; }

    /// <summary>What is odd but harmless, a sentence each; empty as a rule.</summary>
    public IReadOnlyList<string> Warnings { get; private init; } = [];

    /// <summary>Where the layers are.</summary>
    internal LayerPlace Place { get; }

    /// <summary>The files.</summary>
    internal IReadOnlyList<SafetensorsFile> Files => _files.Files;

    /// <summary>The tensors that are read from a file, in the order of their bytes.</summary>
    internal IEnumerable<TensorInfo> TensorsOf(SafetensorsFile file) => _files.TensorsOf(file);

    /// <summary>Opens a folder with a <c>config.json</c> and weights, and checks everything but the values of weights.</summary>
    /// <exception cref="CheckpointException">A file is damaged, of no known family, or config and tensors disagree; one message lists all that is wrong.</exception>
    public static MoeCheckpoint Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);

        return OpenWithWeights(folder, valueLimit: 0, out _);
    }

    /// <summary>Opens a folder, and checks the values of scales where all have no more bytes than <paramref name="valueLimit"/>.</summary>
    internal static MoeCheckpoint OpenWithWeights(string folder, long valueLimit, out WeightIndex weights)
    {
        if (!Directory.Exists(folder)) throw new CheckpointException(folder, "There is no such folder.");
        string config = System.IO.Path.Combine(folder, ModelConfig.FileName);
        if (!File.Exists(config)) throw new CheckpointException(folder, $"The folder has no {ModelConfig.FileName}, which says what the model is. Fetch it too, or name one of the folder's files.");

        var (model, family) = ModelConfig.ReadWithFamily(config, out var configWarnings);
        var files = ModelFolder.Open(folder);
        try
        {
            var place = LayerPlace.Find(family, files.Tensors.Keys);
            weights = new WeightIndex(files, model.Quantization, valueLimit: valueLimit);
            var check = new CheckpointCheck(model, files, place, weights);
            check.Run();
            return new MoeCheckpoint(folder, model, files, place) { Warnings = [.. configWarnings, .. files.Warnings, .. check.Warnings] };
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>A MoE layer; the values that could contradict its shapes (scales, groups) are checked first.</summary>
    /// <param name="index">The layer's place in the model, from 0.</param>
    /// <exception cref="ArgumentException">That layer is dense, or there is none.</exception>
    /// <exception cref="CheckpointException">Values contradict; one message lists all faults.</exception>
    public StoredMoeLayer Layer(int index)
    {
        if (index < 0 || index >= Model.Layers.Count || Model.Layers[index] is not MlpOptions.Sparse sparse)
            throw new ArgumentException($"Layer {index} is no Mixture of Experts; of the {Model.Layers.Count} layers these are: {LayerRanges.Words(MoeLayers)}.", nameof(index));

        var faults = new List<string>();
        var found = new WeightIndex(Tensors, Model.Quantization, Place.PrefixOf(index));
        return LayerResolver.Resolve(found, Place, Model.Quantization, index, sparse.Moe, [], faults) ?? throw CheckpointException.Listing(Path, faults);
    }

    /// <summary>Closes the files; matrices of layers must no longer be decoded.</summary>
    public void Dispose() => _files.Dispose();
}
