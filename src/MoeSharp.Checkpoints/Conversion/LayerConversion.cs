namespace MoeSharp.Checkpoints;

/// <summary>What becomes of the tensors of one MoE layer: some are renamed, those of experts in another form are written anew.</summary>
internal sealed class LayerConversion
{
    private readonly MoeCheckpoint _source;
    private readonly StoredMoeLayer _layer;
    private readonly string _prefix, _targetPrefix;
    private readonly HashSet<string> _tensors;
    private readonly Dictionary<string, string> _names = [];
    private readonly HashSet<string> _rows = [];
    private readonly List<WrittenWeight> _written = [];

    public LayerConversion(MoeCheckpoint source, StoredMoeLayer layer, LayerTarget target)
    {
        (_source, _layer, _prefix, _targetPrefix) = (source, layer, source.Place.PrefixOf(layer.Index), source.Target.PrefixOf(layer.Index));
        _tensors = [.. layer.Tensors];
        var (from, to) = (source.Place.Layout, target.Layout);
        Rename(from.LogitBias, to.LogitBias);
        Rename(from.CorrectionBias, to.CorrectionBias);
        Rename(from.QuantileBias, to.QuantileBias);
        Rename(from.PerExpertScale, to.PerExpertScale);
        Rename(from.InputScale, to.InputScale);
        Rename(from.TokenTable, to.TokenTable);
        bool keepsRouter = source.Names is null && from.IsRouterTransposed == to.IsRouterTransposed;
        ConvertRouter(from.Router, to.Router, keepsRouter ? null : layer.Router.Weight);
        if (from.SharedRouter is not null && to.SharedRouter is not null) ConvertRouter(from.SharedRouter, to.SharedRouter, keepsRouter ? null : layer.SharedRouter);
        if (to.IsCorrectionBiasRow && source.Names is not null && from.CorrectionBias is { } bias) _rows.Add(_prefix + bias);
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

    /// <summary>A tensor of the layer as the target has it.</summary>
    public SourceTensor Renamed(SourceTensor tensor) => tensor with { Name = NameOf(tensor.Name), Shape = _rows.Contains(tensor.Name) && tensor.Shape.Count == 1 ? [1, .. tensor.Shape] : tensor.Shape };

    private void Rename(string? from, string? to)
    {
        if (from is not null && to is not null) _names.TryAdd(_prefix + from, _targetPrefix + to);
    }

    /// <summary>Renames what begins with a module's name, but for what has its own.</summary>
    private void RenameModule(string from, string to)
    {
        foreach (string tensor in TensorsOf(from)) _names.TryAdd(tensor, string.Concat(_targetPrefix, to, tensor.AsSpan(_prefix.Length + from.Length)));
    }

    // in files of other names a router may be transposed, encoded, or a list instead of a matrix of one row
    private void ConvertRouter(string from, string to, WeightMatrix? matrix)
    {
        if (matrix is null)
        {
            RenameModule(from, to);
            return;
        }

        Replaced.UnionWith(TensorsOf(from).Where(tensor => !_names.ContainsKey(tensor)));
        _written.Add(new($"{_targetPrefix}{to}{QuantizedNames.Weight}", [matrix.Rows, matrix.Columns], () => [matrix]) { Types = [matrix.PlainType] });
    }

    private void Convert(IReadOnlyList<StoredWeight> from, IReadOnlyList<StoredWeight> to, Func<int, StoredMlp> mlp, int count, int width)
    {
        bool areAlike = from.Count == to.Count && from.Zip(to).All(pair => pair.First.IsLike(pair.Second) && (pair.First.IsBare == pair.Second.IsBare || IsPlain(pair.First, count)));
        ConvertBiases(from, to, count, width);
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
            if (!wanted.IsPerExpert) _written.Add(Joined(wanted, shape, mlp, all));
            else _written.AddRange(all.Select(expert => Joined(wanted, shape, mlp, [expert])));
        }
    }

    private WrittenWeight Joined(StoredWeight wanted, long[] shape, Func<int, StoredMlp> mlp, int[] experts) =>
        new(_targetPrefix + wanted.TensorOf(experts[0]), shape, () => experts.Select(expert => wanted.Store(mlp(expert).Of)))
        {
            Types = experts.SelectMany(expert => wanted.Roles, (expert, role) => mlp(expert).Of(role).PlainType).Distinct(),
        };

    private void ConvertBiases(IReadOnlyList<StoredWeight> from, IReadOnlyList<StoredWeight> to, int count, int width)
    {
        if (from.Count == to.Count && from.Zip(to).All(pair => pair.First.Order == pair.Second.Order && pair.First.Roles.SequenceEqual(pair.Second.Roles)))
        {
            foreach (var (stored, wanted) in from.Zip(to)) Rename(stored.Bias, wanted.Bias);
            return;
        }

        if (!from.All(stored => stored.Bias is { } bias && _tensors.Contains(_prefix + bias))) return;

        Replaced.UnionWith(from.Select(stored => _prefix + stored.Bias));
        foreach (var wanted in to.Where(wanted => wanted.Bias is not null))
        {
            var columns = wanted with { IsTransposed = false };
            _written.Add(new(_targetPrefix + wanted.Bias, wanted.BiasShape(count, width, _layer.Options.HiddenSize), () => Enumerable.Range(0, count).Select(expert => columns.Store(role => Bias(from, role, expert))))
            {
                Types = wanted.Roles.Select(role => Bias(from, role, 0).PlainType).Distinct(),
            });
        }
    }

    /// <summary>The biases of an expert as a column.</summary>
    private WeightMatrix Bias(IReadOnlyList<StoredWeight> ways, WeightRole role, int expert)
    {
        var stored = ways.First(way => way.Roles.Contains(role)) with { IsTransposed = false };
        var data = _source.Tensors.Data(_prefix + stored.Bias).Slice(expert);
        return stored.Of(new PlainMatrix((int)data.Info.Shape[0], 1, data), role);
    }

    private void RenameWeight(StoredWeight from, StoredWeight to, int count)
    {
        for (int expert = 0; expert < (from.IsPerExpert ? count : 1); expert++)
        {
            if (from.Blocks != to.Blocks) RenameBlocks(from.ModuleOf(expert), to.ModuleOf(expert), to.Suffix);
            else if (from.IsBare == to.IsBare) RenameModule(from.ModuleOf(expert), to.ModuleOf(expert));
            else Rename(from.TensorOf(expert), to.TensorOf(expert));
        }
    }

    // OpenAI's own files have dots where others have underscores
    private void RenameBlocks(string from, string to, string blocks)
    {
        string[] stored = [.. TensorsOf(from)];
        foreach (string tensor in stored)
        {
            bool isCodes = tensor.EndsWith(QuantizedNames.DottedBlocks, StringComparison.Ordinal) || tensor.EndsWith(QuantizedNames.Blocks, StringComparison.Ordinal);
            _names.TryAdd(tensor, string.Concat(_targetPrefix, to, isCodes ? blocks : blocks == QuantizedNames.Blocks ? QuantizedNames.BlockScales : QuantizedNames.GptqScales));
        }
    }

    private bool IsPlain(StoredWeight stored, int count) => Enumerable.Range(0, stored.IsPerExpert ? count : 1).All(expert => TensorsOf(stored.ModuleOf(expert)).SequenceEqual([_prefix + stored.TensorOf(expert)]));

    /// <summary>The tensors that make up a weight.</summary>
    private IEnumerable<string> TensorsOf(string module) => QuantizedNames.All.Select(suffix => string.Concat(_prefix, module, suffix)).Where(_tensors.Contains);
}

/// <summary>A tensor of weights in another form than the source's.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Matrices">Its numbers as matrices whose rows follow each other: of stacked experts one of each.</param>
internal sealed record WrittenWeight(string Name, IReadOnlyList<long> Shape, Func<IEnumerable<WeightMatrix>> Matrices)
{
    /// <summary>The types of the plain numbers that it is made of; null among them for quantized ones.</summary>
    public required IEnumerable<TensorType?> Types { get; init; }

    /// <summary>Writes the tensor, matrix by matrix.</summary>
    public void Write(TensorType type, Stream to)
    {
        foreach (var matrix in Matrices()) NumberWriter.Write(matrix, type, to);
    }
}
