namespace MoeSharp.Checkpoints;

/// <summary>What becomes of the tensors of one MoE layer: some are renamed, those of experts in another form are written anew.</summary>
internal sealed class LayerConversion
{
    private readonly StoredMoeLayer _layer;
    private readonly string _prefix;
    private readonly HashSet<string> _tensors;
    private readonly Dictionary<string, string> _names = [];
    private readonly List<WrittenWeight> _written = [];

    public LayerConversion(MoeCheckpoint source, StoredMoeLayer layer, LayerTarget target)
    {
        (_layer, _prefix) = (layer, source.Place.PrefixOf(layer.Index));
        _tensors = [.. layer.Tensors];
        var (from, to) = (source.Place.Layout, target.Layout);
        Rename(from.LogitBias, to.LogitBias);
        Rename(from.CorrectionBias, to.CorrectionBias);
        Rename(from.QuantileBias, to.QuantileBias);
        Rename(from.PerExpertScale, to.PerExpertScale);
        Rename(from.InputScale, to.InputScale);
        Rename(from.TokenTable, to.TokenTable);
        RenameModule(from.Router, to.Router);
        if (from.SharedRouter is not null && to.SharedRouter is not null) RenameModule(from.SharedRouter, to.SharedRouter);
        Convert(layer.ExpertWay, target.Experts, layer.Expert, layer.Options.Router.ExpertCount, layer.Options.Experts.IntermediateSize);
        if (layer is { Shared: { } shared, SharedWay: { } way }) Convert(way, target.Shared!, _ => shared, 1, layer.Options.Shared!.IntermediateSize);     // a layer with one is of a family with one
    }

    /// <summary>The layer.</summary>
    public StoredMoeLayer Layer => _layer;

    /// <summary>The weights that are written anew.</summary>
    public IReadOnlyList<WrittenWeight> Written => _written;

    /// <summary>The tensors of the source that they replace.</summary>
    public HashSet<string> Replaced { get; } = [];

    /// <summary>The name of a tensor of the layer in the target.</summary>
    public string NameOf(string tensor) => _names.GetValueOrDefault(tensor, tensor);

    private void Rename(string? from, string? to)
    {
        if (from is not null && to is not null) _names.TryAdd(_prefix + from, _prefix + to);
    }

    /// <summary>Renames what begins with a module's name, but for what has its own.</summary>
    private void RenameModule(string from, string to)
    {
        foreach (string tensor in TensorsOf(from)) _names.TryAdd(tensor, string.Concat(_prefix, to, tensor.AsSpan(_prefix.Length + from.Length)));
    }

    private void Convert(IReadOnlyList<StoredWeight> from, IReadOnlyList<StoredWeight> to, Func<int, StoredMlp> mlp, int count, int width)
    {
        bool areAlike = from.Count == to.Count && from.Zip(to).All(pair => pair.First.IsLike(pair.Second) && (pair.First.IsBare == pair.Second.IsBare || IsPlain(pair.First, count)));
        foreach (var (stored, wanted) in from.Zip(to)) Rename(stored.Bias, wanted.Bias);
        if (areAlike)
        {
            foreach (var (stored, wanted) in from.Zip(to)) RenameWeight(stored, wanted, count);
            return;
        }

        foreach (var stored in from)
        {
            for (int expert = 0; expert < (stored.IsPerExpert ? count : 1); expert++) Replaced.UnionWith(TensorsOf(stored.ModuleOf(expert)).Where(tensor => !_names.ContainsKey(tensor)));
        }

        foreach (var wanted in to)
        {
            long[] shape = wanted.Shape(count, width, _layer.Options.HiddenSize);
            int[] all = [.. Enumerable.Range(0, count)];
            if (!wanted.IsPerExpert) _written.Add(new(_prefix + wanted.TensorOf(0), shape, wanted, mlp, all));
            else _written.AddRange(all.Select(expert => new WrittenWeight(_prefix + wanted.TensorOf(expert), shape, wanted, mlp, [expert])));
        }
    }

    private void RenameWeight(StoredWeight from, StoredWeight to, int count)
    {
        for (int expert = 0; expert < (from.IsPerExpert ? count : 1); expert++)
        {
            if (from.IsBare == to.IsBare) RenameModule(from.ModuleOf(expert), to.ModuleOf(expert));
            else Rename(from.TensorOf(expert), to.TensorOf(expert));
        }
    }

    private bool IsPlain(StoredWeight stored, int count) => Enumerable.Range(0, stored.IsPerExpert ? count : 1).All(expert => TensorsOf(stored.ModuleOf(expert)).SequenceEqual([_prefix + stored.TensorOf(expert)]));

    /// <summary>The tensors that make up a weight.</summary>
    private IEnumerable<string> TensorsOf(string module) => QuantizedNames.All.Select(suffix => string.Concat(_prefix, module, suffix)).Where(_tensors.Contains);
}

/// <summary>A tensor of expert weights in another form than the source's.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Stored">The form.</param>
/// <param name="Mlp">The experts.</param>
/// <param name="Experts">Those in this tensor, in order.</param>
internal sealed record WrittenWeight(string Name, IReadOnlyList<long> Shape, StoredWeight Stored, Func<int, StoredMlp> Mlp, IReadOnlyList<int> Experts)
{
    /// <summary>The types of the plain numbers that it is made of; null among them for quantized ones.</summary>
    public IEnumerable<TensorType?> Types => Experts.SelectMany(expert => Stored.Roles, (expert, role) => Mlp(expert).Of(role).PlainType).Distinct();

    /// <summary>Writes the tensor, expert by expert.</summary>
    public void Write(TensorType type, Stream to)
    {
        foreach (int expert in Experts)
        {
            var mlp = Mlp(expert);
            NumberWriter.Write(Stored.Store(mlp.Of), type, to);
        }
    }
}
