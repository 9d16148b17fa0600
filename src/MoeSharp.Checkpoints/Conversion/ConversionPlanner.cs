namespace MoeSharp.Checkpoints;

/// <summary>
/// Decides what becomes of every tensor of a checkpoint: experts in another form are written anew, quantized weights decoded, plain numbers
/// rounded, and everything else is copied.
/// </summary>
internal sealed class ConversionPlanner
{
    private readonly MoeCheckpoint _source;
    private readonly ConversionOptions _options;
    private readonly Dictionary<string, WeightParts> _quantized = [];       // by each of their tensors
    private readonly Dictionary<string, LayerConversion> _layers = [];      // by each of their tensors
    private readonly Dictionary<string, List<SourceTensor>>? _others;       // by the tensor in whose place they come; null where nothing is renamed
    private readonly bool _dequantizes;
    private readonly TensorType _decodedType;
    private readonly List<TensorToWrite> _tensors = [];
    private readonly HashSet<object> _done = [];
    private bool _hasDecoded;

    private ConversionPlanner(MoeCheckpoint source, ConversionOptions options, TensorType decodedType)
    {
        (_source, _options, _decodedType) = (source, options, options.Type ?? decodedType);
        var quantized = SourceTensor.Quantized(source.Tensors);
        foreach (var parts in quantized)
        {
            foreach (string tensor in parts.TensorNames) _quantized[tensor] = parts;
        }

        var layers = (options.Layers ?? source.MoeLayers).Distinct().Order().Select(source.Layer).ToArray();
        _dequantizes = source.Tensors is GgufFile || quantized.Count > 0 && (options.Dequantizes || options.Type is not null || ConvertAll(layers, dequantizes: false).Any(RewritesQuantized));
        foreach (var layer in ConvertAll(layers, _dequantizes))
        {
            foreach (string tensor in layer.Layer.Tensors) _layers[tensor] = layer;
        }

        if (options.Layers is null && source.Names is { } names) _others = names.Read(source, tensor => !_layers.ContainsKey(tensor) && !source.IsLeftOut(tensor));
    }

    /// <summary>Plans a conversion.</summary>
    /// <param name="source">What is converted.</param>
    /// <param name="options">What to.</param>
    /// <param name="decodedType">The type of dequantized weights where the options name none.</param>
    /// <exception cref="ArgumentException">A layer that is asked for is no MoE layer.</exception>
    /// <exception cref="CheckpointException">The family has no such layout, or a quantized weight is at fault.</exception>
    public static ConversionPlan Make(MoeCheckpoint source, ConversionOptions options, TensorType decodedType)
    {
        var planner = new ConversionPlanner(source, options, decodedType);
        foreach (string tensor in source.Tensors.Tensors.Keys)
        {
            if (planner._layers.ContainsKey(tensor) || options.Layers is null && !source.IsLeftOut(tensor)) planner.Add(tensor);
        }

        planner.CheckNames();
        return new(planner._tensors, source.Tensors is GgufFile ? planner._hasDecoded : planner._dequantizes);
    }

    private IEnumerable<LayerConversion> ConvertAll(IEnumerable<StoredMoeLayer> layers, bool dequantizes) =>
        layers.Select(layer => new LayerConversion(_source, layer, LayerTarget.Find(_source, layer, _options.Layout, dequantizes)));

    private bool RewritesQuantized(LayerConversion layer) => layer.Replaced.Any(_quantized.ContainsKey);

    private void Add(string tensor)
    {
        var layer = _layers.GetValueOrDefault(tensor);
        if (layer is not null && layer.Replaced.Contains(tensor)) AddWritten(layer);
        else if (_dequantizes && _quantized.TryGetValue(tensor, out var parts)) AddDecoded(parts, layer);
        else if (_dequantizes && IsForActivations(tensor)) return;
        else if (layer is not null) AddPlain(layer.Renamed(SourceTensor.Of(_source.Tensors, tensor)));
        else if (_others is null) AddPlain(SourceTensor.Of(_source.Tensors, tensor));
        else foreach (var other in _others[tensor]) AddPlain(other);
    }

    private void AddWritten(LayerConversion layer)
    {
        if (!_done.Add(layer)) return;

        foreach (var weight in layer.Written)
        {
            var type = TypeOf(weight);
            _hasDecoded |= weight.Types.Contains(null);
            _tensors.Add(new(weight.Name, type, weight.Shape, to => weight.Write(type, to)));
        }
    }

    // of numbers of several types, the one that holds them all
    private TensorType TypeOf(WrittenWeight weight)
    {
        if (_options.Type is { } wanted) return wanted;

        TensorType[] types = [.. weight.Types.Select(type => type ?? _decodedType).Distinct()];
        return types is [var only] ? only : TensorType.F32;
    }

    private void AddDecoded(WeightParts parts, LayerConversion? layer)
    {
        if (!_done.Add(parts)) return;

        var weight = QuantizedWeights.Read(parts, _source.Model.Quantization?.SchemeOf(parts.Name)) ?? throw CheckpointException.Listing(_source.Path, parts.Faults);
        string name = PlainName(parts, layer);
        _tensors.Add(new(name, _decodedType, weight.Shape, to =>
        {
            foreach (var matrix in weight.Matrices) NumberWriter.Write(matrix, _decodedType, to);
        }));
    }

    /// <summary>Where a decoded weight belongs: the layer renames its tensors, each by the same module.</summary>
    private static string PlainName(WeightParts parts, LayerConversion? layer)
    {
        string name = QuantizedNames.Plain(parts);
        if (layer is null) return name;

        string tensor = parts.TensorNames[0], suffix = tensor[parts.Name.Length..];
        return string.Concat(layer.NameOf(tensor).AsSpan(..^suffix.Length), name.AsSpan(parts.Name.Length));
    }

    private void AddPlain(SourceTensor tensor)
    {
        var type = TypeOf(tensor);
        _hasDecoded |= tensor.Type is null;
        _tensors.Add(new(tensor.Name, type, tensor.Shape, to => Write(tensor, type, to)));
    }

    private static void Write(SourceTensor tensor, TensorType type, Stream to)
    {
        if (tensor.Data is { } data) NumberWriter.Write(data, type, to);
        else foreach (var matrix in tensor.Matrices) NumberWriter.Write(matrix, type, to);
    }

    private TensorType TypeOf(SourceTensor tensor)
    {
        if (tensor.Type is not { } type) return _decodedType;
        return PlainMatrix.Types.Contains(type) && !tensor.From.Any(from => IsKept(from, type)) ? _options.Type ?? type : type;
    }

    // rounded, they would select other experts; published files of bfloat16 have them in float32 too
    private bool IsKept(string tensor, TensorType type) =>
        _options.Type is { } wanted && type == TensorType.F32 && wanted != TensorType.F32 && _source.Place.TryParse(tensor, out _, out var name)
        && (name.SequenceEqual(_source.Place.Layout.CorrectionBias) || name.SequenceEqual(_source.Place.Layout.QuantileBias));

    private bool IsForActivations(string tensor) => Array.Exists(QuantizedNames.Activations, suffix =>
        tensor.EndsWith(suffix, StringComparison.Ordinal) && QuantizedNames.All.Any(part => _quantized.ContainsKey(string.Concat(tensor.AsSpan(..^suffix.Length), part))));

    private void CheckNames()
    {
        var names = new HashSet<string>();
        string[] twice = [.. _tensors.Select(tensor => tensor.Name).Where(name => !names.Add(name)).Distinct()];
        if (twice.Length > 0) throw CheckpointException.Listing(_source.Path, [.. twice.Select(name => $"The conversion would write tensor {TensorName.Quote(name)} twice: the source has it beside others that it is made of.")]);
    }
}
