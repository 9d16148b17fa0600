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
    private readonly IDisposable _files;

    private MoeCheckpoint(string path, ModelDescription model, ModelFamily family, ITensorSource tensors, IDisposable files, LayerPlace place)
    {
        (Path, Model, Family, Tensors, _files, Place) = (path, model, family, tensors, files, place);
        MoeLayers = [.. model.HeldMoeLayers];
    }

    /// <summary>The folder as given to <see cref="Open"/>.</summary>
    public string Path { get; }

    /// <summary>What its config says.</summary>
    public ModelDescription Model { get; }

    /// <summary>All tensors.</summary>
    public ITensorSource Tensors { get; }

    /// <summary>The family that the config names.</summary>
    internal ModelFamily Family { get; }

    /// <summary>Where its layers are.</summary>
    internal LayerPlace Place { get; }

    /// <summary>The indices of the layers that are a Mixture of Experts, and that are here (<see cref="ModelDescription.HeldLayers"/>).</summary>
    public IReadOnlyList<int> MoeLayers { get; }

    /// <summary>What is odd but harmless, a sentence each; empty as a rule.</summary>
    public IReadOnlyList<string> Warnings { get; private init; } = [];

    /// <summary>Opens a folder with a <c>config.json</c> and weights, and checks everything but the values of weights.</summary>
    /// <exception cref="CheckpointException">A file is damaged, of no known family, or config and tensors disagree; one message lists all that is wrong.</exception>
    public static MoeCheckpoint Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);

        if (!Directory.Exists(folder)) throw new CheckpointException(folder, "There is no such folder.");
        var (model, family) = ModelConfig.ReadWithFamily(System.IO.Path.Combine(folder, ModelConfig.FileName), out var configWarnings);
        var files = ModelFolder.Open(folder);
        try
        {
            var place = LayerPlace.Find(family, files.Tensors.Keys);
            var check = new CheckpointCheck(model, files, place);
            check.Run();
            return new MoeCheckpoint(folder, model, family, files, files, place) { Warnings = [.. configWarnings, .. files.Warnings, .. check.Warnings] };
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>A MoE layer; the values that could contradict its shapes (scales, groups) are checked first.</summary>
    /// <param name="index">The layer's place in the model, from 0.</param>
    /// <exception cref="ArgumentException">That layer is dense, is not in this folder, or there is none.</exception>
    /// <exception cref="CheckpointException">Values contradict; one message lists all faults.</exception>
    public StoredMoeLayer Layer(int index)
    {
        if (!MoeLayers.Contains(index) || Model.Layers[index] is not MlpOptions.Sparse sparse)
            throw new ArgumentException($"Layer {index} is no Mixture of Experts{(Model.HeldLayers is null ? "" : " of this folder")}; of the {Model.Layers.Count} layers these are: {Ranges(MoeLayers)}.", nameof(index));

        var faults = new List<string>();
        var found = new WeightIndex(Tensors, Model.Quantization, Place.PrefixOf(index));
        return LayerResolver.Resolve(found, Place, Model.Quantization, index, sparse.Moe, [], faults) ?? throw CheckpointException.Listing(Path, faults);
    }

    /// <summary>Gives back the memory of mapped pages that were read; they can be read again.</summary>
    internal void ReleasePages() => (Tensors as IMappedFiles)?.Release();

    /// <summary>Closes the files; matrices of layers must no longer be decoded.</summary>
    public void Dispose() => _files.Dispose();

    // 1-3, 5
    private static string Ranges(IReadOnlyList<int> layers)
    {
        var ranges = new List<(int First, int Last)>();
        foreach (int layer in layers)
        {
            if (ranges.Count > 0 && ranges[^1].Last == layer - 1) ranges[^1] = (ranges[^1].First, layer);
            else ranges.Add((layer, layer));
        }

        return ranges.Count == 0 ? "none" : string.Join(", ", ranges.Select(range => range.First == range.Last ? $"{range.First}" : $"{range.First}-{range.Last}"));
    }
}
