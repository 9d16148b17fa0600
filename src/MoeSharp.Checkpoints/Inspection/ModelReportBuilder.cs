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

    public required IReadOnlyList<(string Name, IEnumerable<TensorInfo> Tensors)> Files { get; init; }

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
            Files = [.. folder.Files.Select(file => (System.IO.Path.GetFileName(file.Path), folder.TensorsOf(file)))],
            FormatOf = formats.Of,
            Scales = weights.Parts.Weights.Count > 0 ? new(weights.Parts.ValueBytes, weights.Parts.ChecksValues) : null,
            Warnings = warnings,
        };
    }

    /// <summary>A report on a GGUF file.</summary>
    public static ModelReportBuilder OfGguf(MoeCheckpoint checkpoint, GgufFile file)
    {
        return new(checkpoint)
        {
            Files = [(System.IO.Path.GetFileName(file.Path), file.Tensors.Values)],
            FormatOf = tensor => (file.Info(tensor.Name).Type.ToString(), file.Info(tensor.Name).Shape.Aggregate(1L, (product, size) => product * size)),
        };
    }

    public ModelReport Build()
    {
        var files = OrderedParallel.Select(Files, file => Of(file.Name, file.Tensors), CancellationToken.None);
        TensorReport[] tensors = [.. files.SelectMany(file => file.Tensors)];
        FileReport[] reports = [.. files.Select(file => file.Report)];
        return new()
        {
            Path = _checkpoint.Path,
            Model = _model,
            Tensors = tensors,
            Totals = TensorTotals.Of(reports.Select(file => file.Totals)),
            Kinds = Kinds(tensors),
            Files = reports,
            MoeLayers = [.. _checkpoint.MoeLayers.GroupBy(layer => _model.Moe(layer)).Select(layers => new MoeLayersReport([.. layers], layers.Key))],
            Parameters = tensors.Sum(tensor => tensor.Kind == TensorKind.Extras ? 0 : tensor.Parameters),
            ActiveParameters = CountActive(tensors),
            Scales = Scales,
            Warnings = [.. _checkpoint.Warnings, .. Warnings],
        };
    }

    private (FileReport Report, TensorReport[] Tensors) Of(string file, IEnumerable<TensorInfo> infos)
    {
        TensorReport[] tensors = [.. infos.Select(tensor => Of(tensor, file))];
        return (new(file, TensorTotals.Of(tensors)), tensors);
    }

    private static IReadOnlyList<KindReport> Kinds(TensorReport[] tensors)
    {
        var formats = tensors.AggregateBy(tensor => (Kind: tensor.Kind!.Value, tensor.Format), default(TensorTotals), TensorTotals.With);
        return [.. formats.GroupBy(format => format.Key.Kind, format => new FormatReport(format.Key.Format, format.Value)).OrderBy(kind => kind.Key)
            .Select(kind => new KindReport(kind.Key, TensorTotals.Of(kind.Select(format => format.Totals)), FormatReport.Sorted(kind)))];
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
