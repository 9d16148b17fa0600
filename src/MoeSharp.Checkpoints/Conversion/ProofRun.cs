namespace MoeSharp.Checkpoints;

/// <summary>One comparison of a target with its source.</summary>
internal sealed class ProofRun : IDisposable
{
    private const int TokenCount = 16, Seed = 20_261_129;
    private const double RoundingShare = 16;        // what a layer may make of the rounding of its weights, in halves of their last place

    private readonly MoeCheckpoint _source, _target;
    private readonly CancellationToken _stop;
    private readonly ProgressCounter _progress;
    private readonly ProofTally _tally = new();
    private readonly LayerOutputs _outputs;
    private readonly List<string> _faults = [];
    private readonly HashSet<string> _compared = [], _covered = [];      // tensors of the target, and of the source
    private readonly Dictionary<string, WeightParts> _quantized = [];
    private Dictionary<string, SourceTensor>? _others;

    public ProofRun(MoeCheckpoint source, MoeCheckpoint target, IProgress<ConversionProgress>? progress, CancellationToken stop)
    {
        (_source, _target, _stop) = (source, target, stop);
        _outputs = new(EndExpert);
        _progress = new(target.Tensors.Tensors.Values.Sum(tensor => tensor.ByteCount), progress, Release);
        foreach (var parts in SourceTensor.Quantized(source.Tensors)) _quantized[QuantizedNames.Plain(parts)] = parts;
    }

    public ConversionProof Run()
    {
        var layers = new List<ProofLayer>();
        foreach (int index in _target.MoeLayers)
        {
            _stop.ThrowIfCancellationRequested();
            var (from, to) = (_source.Layer(index), _target.Layer(index));
            if (from.Options != to.Options) _faults.Add($"By the target's config layer {index} computes something else than by the source's.");
            else
            {
                CompareLayer(from, to);
                layers.Add(CompareOutputs(from, to));
            }

            foreach (string codes in from.Tensors.Intersect(to.Tensors).Where(IsCodes)) _tally.Compare("codes", _source.Tensors.Data(codes), _target.Tensors.Data(codes));
            _covered.UnionWith(from.Tensors);
            _compared.UnionWith(to.Tensors);
            foreach (string tensor in to.Tensors) _progress.Add(tensor, _target.Tensors.Tensors[tensor].ByteCount);
        }

        _others = OthersOf(layers: [.. _covered]);
        CompareOthers();
        if (_target.Model.HeldLayers is null) CheckCovered();
        bool passed = _faults.Count == 0 && _tally.Rows.All(row => row.Passed) && layers.All(layer => layer.Passed);
        return new(1, _source.Path, _target.Path, passed, _tally.Rows, layers, _faults);
    }

    public void Dispose() => _outputs.Dispose();

    private void EndExpert()
    {
        _stop.ThrowIfCancellationRequested();
        Release();
    }

    private void Release()
    {
        _source.ReleasePages();
        _target.ReleasePages();
    }

    private void CompareLayer(StoredMoeLayer from, StoredMoeLayer to)
    {
        CompareRouter(from, to);
        for (int expert = 0; expert < from.Options.Router.ExpertCount; expert++)
        {
            var (expected, actual) = (from.Expert(expert), to.Expert(expert));
            _tally.Compare("gate", expected.Gate, actual.Gate);
            _tally.Compare("up", expected.Up, actual.Up);
            _tally.Compare("down", expected.Down, actual.Down);
            if (expected.Biases is { } biases) CompareBiases(from, biases, to, actual.Biases!);        // the options are the same
            EndExpert();
        }

        if (from.Shared is not { } shared) return;

        foreach (var role in Enum.GetValues<WeightRole>()) _tally.Compare("shared expert", shared.Of(role), to.Shared!.Of(role));
        if (from.SharedRouter is { } router) _tally.Compare("shared expert", router, to.SharedRouter!);
    }

    // what decodes to the same numbers should be the same bytes too
    private bool IsCodes(string tensor)
    {
        var (from, to) = (_source.Tensors.Tensors[tensor], _target.Tensors.Tensors[tensor]);
        return !PlainMatrix.Types.Contains(from.Type) && from.Type == to.Type && from.Shape.SequenceEqual(to.Shape);
    }

    private void CompareRouter(StoredMoeLayer from, StoredMoeLayer to)
    {
        _tally.Compare("router", from.Router.Weight, to.Router.Weight);
        Compare(router => router.LogitBias, layout => layout.LogitBias);
        Compare(router => router.CorrectionBias, layout => layout.CorrectionBias);
        Compare(router => router.QuantileBias, layout => layout.QuantileBias);
        Compare(router => router.PerExpertScale, layout => layout.PerExpertScale);
        Compare(router => router.InputScale, layout => layout.InputScale);
        if (from.Router.TokenTable is { } table && !table.SequenceEqual(to.Router.TokenTable!)) _faults.Add($"The experts of token ids differ in layer {from.Index}.");

        void Compare(Func<RouterParameters, IReadOnlyList<float>?> values, Func<LayerLayout, string?> name)
        {
            if (values(from.Router) is not { } expected) return;

            _tally.Compare("router", expected, TypeOf(_source, from.Index, name(_source.Place.Layout)!), values(to.Router)!, TypeOf(_target, to.Index, name(_target.Place.Layout)!));
        }
    }

    private void CompareBiases(StoredMoeLayer from, StoredBiases expected, StoredMoeLayer to, StoredBiases actual)
    {
        Compare(WeightRole.Gate, expected.Gate, actual.Gate);
        Compare(WeightRole.Up, expected.Up, actual.Up);
        Compare(WeightRole.Down, expected.Down, actual.Down);

        void Compare(WeightRole role, IReadOnlyList<float> source, IReadOnlyList<float> target) =>
            _tally.Compare("biases", source, TypeOf(_source, from.Index, BiasOf(from, role)), target, TypeOf(_target, to.Index, BiasOf(to, role)));
    }

    private static string BiasOf(StoredMoeLayer layer, WeightRole role) => layer.ExpertWay.First(weight => weight.Roles.Contains(role)).Bias!;

    private static TensorType TypeOf(MoeCheckpoint checkpoint, int layer, string name) => checkpoint.Tensors.Tensors[checkpoint.Place.PrefixOf(layer) + name].Type;

    private ProofLayer CompareOutputs(StoredMoeLayer from, StoredMoeLayer to)
    {
        var random = new Random(Seed + from.Index);
        float[] tokens = [.. Enumerable.Range(0, TokenCount * from.Options.HiddenSize).Select(_ => Normal(random))];
        long[] ids = [.. Enumerable.Range(0, TokenCount).Select(_ => (long)random.Next(_source.Model.VocabularySize))];
        var (selected, expected) = _outputs.Compute(from, tokens, ids, experts: null);
        var (others, actual) = _outputs.Compute(to, tokens, ids, to.Router.TokenTable is null ? selected : null);       // a table, which was compared, leaves no choice

        double largest = expected.Max(value => Math.Abs((double)value)), difference = expected.Zip(actual, (a, b) => Math.Abs((double)a - b)).Max();
        int elsewhere = Enumerable.Range(0, TokenCount).Count(token => !ExpertsOf(selected, token).SetEquals(ExpertsOf(others, token)));
        return new(from.Index, TokenCount, elsewhere, largest > 0 ? difference / largest : difference, RoundingShare * LargestRounding());
    }

    // of all rows so far: layers of a model are alike
    private double LargestRounding() => _tally.Rows.Where(row => row.From != row.To).Select(row => row.To switch { "BF16" => Math.ScaleB(1, -9), "F16" => Math.ScaleB(1, -12), _ => 0 }).DefaultIfEmpty().Max();

    private static HashSet<int> ExpertsOf(RoutingPlan plan, int token) => [.. plan.Experts.AsSpan(token * plan.Width, plan.Width)];

    private static float Normal(Random random) => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));

    private void CompareOthers()
    {
        foreach (var (name, info) in _target.Tensors.Tensors)
        {
            _stop.ThrowIfCancellationRequested();
            if (_compared.Contains(name)) continue;

            if (_others?.TryGetValue(name, out var other) ?? false) CompareOther(other, _target.Tensors.Data(name));
            else if (_quantized.TryGetValue(name, out var parts) && PlainMatrix.Types.Contains(info.Type)) CompareDecoded(parts, _target.Tensors.Data(name));
            else if (_source.Tensors.Tensors.TryGetValue(name, out var original) && IsLike(original, info)) CompareTensor(name);
            else _faults.Add($"The target has tensor {TensorName.Quote(name)} as {info.Type.FileName()} [{string.Join(", ", info.Shape)}], which the source has not.");

            _progress.Add(name, info.ByteCount);
        }
    }

    /// <summary>What files in other names have outside of MoE layers, by its name in the target; null where names are the same.</summary>
    private Dictionary<string, SourceTensor>? OthersOf(HashSet<string> layers)
    {
        if (_source.Names is not { } names || _target.Model.HeldLayers is not null) return null;

        var read = names.Read(_source, tensor => !layers.Contains(tensor) && !_source.IsLeftOut(tensor));
        return read.Values.SelectMany(tensors => tensors).ToDictionary(tensor => tensor.Name);
    }

    private void CompareOther(SourceTensor source, TensorData target)
    {
        _covered.UnionWith(source.From);
        if (!source.Shape.SequenceEqual(target.Info.Shape) || !AreAlike(source.Type ?? TensorType.F32, target.Info.Type))
            _faults.Add($"The target has tensor {TensorName.Quote(target.Info.Name)} as {target.Info.Type.FileName()} [{string.Join(", ", target.Info.Shape)}]; of the source it is {(source.Type ?? TensorType.F32).FileName()} [{string.Join(", ", source.Shape)}].");
        else if (source.Data is { } data) _tally.Compare("other", data, target);
        else CompareRows(source, target);
    }

    private void CompareRows(SourceTensor source, TensorData target)
    {
        long offset = 0;
        foreach (var matrix in source.Matrices)
        {
            long count = (long)matrix.Rows * matrix.Columns;
            _tally.Compare("other", matrix, new PlainMatrix(matrix.Rows, matrix.Columns, target.Part(offset, [count])));
            offset += count * PlainNumbers.Size(target.Info.Type);
        }
    }

    private static bool IsLike(TensorInfo source, TensorInfo target) =>
        source.Shape.SequenceEqual(target.Shape) && AreAlike(source.Type, target.Type);

    private static bool AreAlike(TensorType source, TensorType target) => source == target || PlainMatrix.Types.Contains(source) && PlainMatrix.Types.Contains(target);

    private void CompareTensor(string name)
    {
        _covered.Add(name);
        _tally.Compare("other", _source.Tensors.Data(name), _target.Tensors.Data(name));
    }

    private void CompareDecoded(WeightParts parts, TensorData target)
    {
        _covered.UnionWith(parts.TensorNames);
        _covered.UnionWith(QuantizedNames.Activations.Select(ending => parts.Name + ending));
        var weight = QuantizedWeights.Read(parts, _source.Model.Quantization?.SchemeOf(parts.Name)) ?? throw CheckpointException.Listing(_source.Path, parts.Faults);
        if (!weight.Shape.SequenceEqual(target.Info.Shape))
        {
            _faults.Add($"The target has tensor {TensorName.Quote(target.Info.Name)} as [{string.Join(", ", target.Info.Shape)}]; decoded, the source's is [{string.Join(", ", weight.Shape)}].");
            return;
        }

        foreach (var (index, matrix) in weight.Matrices.Index())
        {
            var tensor = weight.Shape.Count == 3 ? target.Slice(index) : target;
            _tally.Compare("other", matrix, new PlainMatrix(matrix.Rows, matrix.Columns, tensor));
        }
    }

    private void CheckCovered()
    {
        foreach (int layer in _source.MoeLayers.Except(_target.MoeLayers)) _faults.Add($"The target has no MoE layer {layer}.");
        foreach (string name in _source.Tensors.Tensors.Keys)
        {
            if (!_covered.Contains(name) && !_source.IsLeftOut(name) && !QuantizedNames.Activations.Any(ending => name.EndsWith(ending, StringComparison.Ordinal))) _faults.Add($"The target has not what the source has in tensor {TensorName.Quote(name)}.");
        }
    }
}
