namespace MoeSharp.Checkpoints;

/// <summary>Sums up a checkpoint that was opened and checked.</summary>
internal sealed class ModelReportBuilder(MoeCheckpoint checkpoint, ModelFolder folder, WeightIndex weights)
{
    private readonly ModelDescription _model = checkpoint.Model;
    private readonly TensorKinds _kinds = new(checkpoint.Model, checkpoint.Place);

    public ModelReport Build()
    {
        var formats = QuantizedFormats.Read(checkpoint.Path, weights, IsExtra, out var warnings);
        TensorReport[] tensors = [.. folder.Files.SelectMany(folder.TensorsOf, (file, tensor) => Of(tensor, System.IO.Path.GetFileName(file.Path), formats))];
        return new()
        {
            Path = checkpoint.Path,
            Model = _model,
            Tensors = tensors,
            Totals = TensorTotals.Of(tensors),
            Kinds = [.. tensors.GroupBy(tensor => tensor.Kind!.Value).OrderBy(kind => kind.Key).Select(kind => new KindReport(kind.Key, TensorTotals.Of(kind), FormatReport.Of(kind)))],
            Files = [.. tensors.GroupBy(tensor => tensor.File).Select(file => new FileReport(file.Key, TensorTotals.Of(file)))],
            MoeLayers = [.. checkpoint.MoeLayers.GroupBy(layer => Options(layer)).Select(layers => new MoeLayersReport([.. layers], layers.Key))],
            Parameters = tensors.Sum(tensor => tensor.Kind == TensorKind.Extras ? 0 : tensor.Parameters),
            ActiveParameters = CountActive(tensors),
            Scales = weights.Parts.Weights.Count > 0 ? new(weights.Parts.ValueBytes, weights.Parts.ChecksValues) : null,
            Warnings = [.. checkpoint.Warnings, .. warnings],
        };
    }

    private TensorReport Of(TensorInfo tensor, string file, QuantizedFormats formats)
    {
        var kind = _kinds.Of(tensor.Name, out int? layer);
        var (format, parameters) = formats.Of(tensor);
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

        return active + experts.Sum(layer => layer.Value / Options(layer.Key).Router.ExpertCount * Options(layer.Key).Router.TopK);
    }

    private MoeOptions Options(int layer) => ((MlpOptions.Sparse)_model.Layers[layer]).Moe;

    private bool IsExtra(string tensor) => _kinds.Of(tensor, out _) == TensorKind.Extras;
}
