namespace MoeSharp.Checkpoints;

/// <summary>Sums up a checkpoint that was opened and checked.</summary>
internal sealed class ModelReportBuilder
{
    private readonly MoeCheckpoint _checkpoint;
    private readonly ModelDescription _model;
    private readonly TensorKinds _kinds;

    private ModelReportBuilder(MoeCheckpoint checkpoint)
    {
        _checkpoint = checkpoint;
        _model = checkpoint.Model;
        _kinds = new(checkpoint.Model, checkpoint.Place);
    }

    public required IEnumerable<(TensorInfo Tensor, string File)> Tensors { get; init; }

    public required Func<TensorInfo, (string Format, long Parameters)> FormatOf { get; init; }

    public ScaleReport? Scales { get; init; }

    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>A report on a folder, once its quantized weights were checked.</summary>
    public static ModelReportBuilder OfFolder(MoeCheckpoint checkpoint, ModelFolder folder, WeightIndex weights)
    {
        var kinds = new TensorKinds(checkpoint.Model, checkpoint.Place);
        var formats = QuantizedFormats.Read(checkpoint.Path, weights, tensor => kinds.Of(tensor, out _) == TensorKind.Extras, out var warnings);
        return new(checkpoint)
        {
            Tensors = folder.Files.SelectMany(folder.TensorsOf, (file, tensor) => (tensor, System.IO.Path.GetFileName(file.Path))),
            FormatOf = formats.Of,
            Scales = weights.Parts.Weights.Count > 0 ? new(weights.Parts.ValueBytes, weights.Parts.ChecksValues) : null,
            Warnings = warnings,
        };
    }

    /// <summary>A report on a GGUF file.</summary>
    public static ModelReportBuilder OfGguf(MoeCheckpoint checkpoint, GgufFile file)
    {
        string name = System.IO.Path.GetFileName(file.Path);
        return new(checkpoint)
        {
            Tensors = file.Tensors.Values.Select(tensor => (tensor, name)),
            FormatOf = tensor => (file.Info(tensor.Name).Type.ToString(), file.Info(tensor.Name).Shape.Aggregate(1L, (product, size) => product * size)),
        };
    }

    public ModelReport Build()
    {
        TensorReport[] tensors = [.. Tensors.Select(each => Of(each.Tensor, each.File))];
        return new()
        {
            Path = _checkpoint.Path,
            Model = _model,
            Tensors = tensors,
            Totals = TensorTotals.Of(tensors),
            Kinds = [.. tensors.GroupBy(tensor => tensor.Kind!.Value).OrderBy(kind => kind.Key).Select(kind => new KindReport(kind.Key, TensorTotals.Of(kind), FormatReport.Of(kind)))],
            Files = [.. tensors.GroupBy(tensor => tensor.File).Select(file => new FileReport(file.Key, TensorTotals.Of(file)))],
            MoeLayers = [.. _checkpoint.MoeLayers.GroupBy(layer => _model.Moe(layer)).Select(layers => new MoeLayersReport([.. layers], layers.Key))],
            Parameters = tensors.Sum(tensor => tensor.Kind == TensorKind.Extras ? 0 : tensor.Parameters),
            ActiveParameters = CountActive(tensors),
            Scales = Scales,
            Warnings = [.. _checkpoint.Warnings, .. Warnings],
        };
    }

    private TensorReport Of(TensorInfo tensor, string file)
    {
        var kind = _kinds.Of(tensor.Name, out int? layer);
        var (format, parameters) = FormatOf(tensor);
        bool isUnused = kind == TensorKind.Embeddings && _model.TieEmbeddings && TensorKinds.IsHead(tensor.Name);
        return new(tensor, file, kind, layer, format, isUnused ? 0 : parameters);
    }

    private long CountActive(TensorReport[] tensors)
    {
        long active = 0;
        var experts = new Dictionary<int, long>();
        foreach (var tensor in tensors)
        {
            if (tensor is { Kind: TensorKind.Experts, Layer: { } layer }) experts[layer] = experts.GetValueOrDefault(layer) + tensor.Parameters;
            else if (tensor.Kind != TensorKind.Extras) active += tensor.Parameters;
        }

        return active + experts.Sum(layer => layer.Value / _model.Moe(layer.Key).Router.ExpertCount * _model.Moe(layer.Key).Router.TopK);
    }
}
