using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary>What <c>moesharp inspect</c> found, for people or as JSON.</summary>
internal sealed class InspectView(Surroundings surroundings, bool isJson)
{
    private const int ShownWarnings = 10, ShownMetadata = 10;

    private readonly TextWriter _output = surroundings.Output;

    public void Write(ModelReport report, bool isListing)
    {
        if (isJson)
        {
            if (isListing) WriteJson(TensorListing.Of(report), CliJsonContext.Readable.TensorListing);
            else WriteJson(InspectedModel.Of(report), CliJsonContext.Readable.InspectedModel);
            return;
        }

        if (isListing) WriteTensors(report.Tensors);
        else WriteModel(report);
        WriteWarnings(report.Warnings);
    }

    public void Write(ModelReport report, LayerReport layer)
    {
        if (isJson)
        {
            WriteJson(InspectedLayer.Of(report, layer), CliJsonContext.Readable.InspectedLayer);
            return;
        }

        WriteLayer(report, layer);
        WriteWarnings(report.Warnings);
    }

    public void Write(TensorFileReport report, bool isListing)
    {
        if (isJson)
        {
            if (isListing) WriteJson(TensorListing.Of(report), CliJsonContext.Readable.TensorListing);
            else WriteJson(InspectedFile.Of(report), CliJsonContext.Readable.InspectedFile);
            return;
        }

        if (isListing) WriteTensors(report.Tensors);
        else WriteFile(report);
        WriteWarnings(report.Warnings);
    }

    private void WriteModel(ModelReport report)
    {
        var (model, attention, totals) = (report.Model, report.Model.Attention, report.Totals);
        string heads = $"{attention.HeadCount} heads" + (attention.KeyValueHeadCount == attention.HeadCount ? "" : $", {attention.KeyValueHeadCount} for keys and values");
        string files = report.Files.Count == 1 ? report.Files[0].File : $"{report.Files.Count} files";

        _output.WriteLine($"{report.Path}: {model.Family}");
        _output.WriteLine($"layers      {model.Layers.Count}, Mixture of Experts: {LayerRanges.Words([.. model.MoeLayers])}");
        _output.WriteLine($"sizes       hidden {model.HiddenSize}, vocabulary {model.VocabularySize}, {heads}{Width(attention)}");
        _output.WriteLine($"parameters  {Quantity.Short(report.Parameters)}, {Quantity.Short(report.ActiveParameters)} active per token; embeddings {(model.TieEmbeddings ? "tied" : "untied")}");
        _output.WriteLine($"weights     {Quantity.Size(totals.Bytes)}, {Quantity.Counted(totals.Tensors, "tensor", "tensors")} in {files}{Quantized(model.Quantization)}");
        WriteScales(report.Scales);
        _output.WriteLine();
        WriteKinds(report);
        WriteMoeLayers(report.MoeLayers);
    }

    private void WriteKinds(ModelReport report)
    {
        var table = new TableWriter("kind", "tensors", "parameters", "bytes", "share", "format") { Numbers = new HashSet<string> { "tensors", "parameters", "bytes", "share" } };
        long all = Math.Max(report.Totals.Bytes, 1);
        foreach (var kind in report.Kinds)
        {
            foreach (var (index, format) in kind.Formats.Index()) table.Add([index == 0 ? Words(kind.Kind) : "", .. Cells(format.Totals), Quantity.Text($"{100.0 * format.Totals.Bytes / all:0.0}%"), format.Format]);
        }

        table.Write(surroundings);
    }

    private void WriteMoeLayers(IReadOnlyList<MoeLayersReport> layers)
    {
        if (layers.Count == 0) return;

        var table = new TableWriter("layers", "experts", "top-k", "width", "shared", "router") { Numbers = new HashSet<string> { "experts", "top-k", "width", "shared" } };
        foreach (var group in layers)
        {
            var (router, shared) = (group.Options.Router, group.Options.Shared);
            table.Add([group.Range, $"{router.ExpertCount}", $"{router.TopK}", $"{group.Options.Experts.IntermediateSize}", shared is null ? "-" : $"{shared.IntermediateSize}{(shared.IsGated ? " gated" : "")}", group.Router]);
        }

        _output.WriteLine();
        table.Write(surroundings);
    }

    private void WriteLayer(ModelReport report, LayerReport layer)
    {
        string what = layer.Moe is { } moe
            ? $"Mixture of Experts, {moe.Options.Router.ExpertCount} experts, {moe.Router}"
            : $"dense, width {layer.DenseWidth}";
        _output.WriteLine($"{report.Path}: {report.Model.Family}, layer {layer.Index} of 0-{report.Model.Layers.Count - 1}: {what}");
        _output.WriteLine($"{Quantity.Short(layer.Totals.Parameters)} parameters, {Quantity.Size(layer.Totals.Bytes)}, {Quantity.Counted(layer.Totals.Tensors, "tensor", "tensors")}");
        _output.WriteLine();

        var table = new TableWriter("kind", "tensor", "type", "shape", "tensors", "bytes", "format") { Numbers = new HashSet<string> { "tensors", "bytes" } };
        foreach (var group in layer.Tensors) table.Add([Words(group.Kind), group.Name, group.Type.FileName(), Shape(group.Shape), $"{group.Totals.Tensors}", Quantity.Size(group.Totals.Bytes), group.Format]);
        table.Write(surroundings);
        if (layer.Moe is null) return;

        _output.WriteLine();
        _output.WriteLine(MoeOptionsJson.Write(layer.Moe.Options));
    }

    private void WriteFile(TensorFileReport report)
    {
        var totals = report.Totals;
        _output.WriteLine($"{report.Path}: {Quantity.Counted(totals.Tensors, "tensor", "tensors")}, {Quantity.Short(totals.Parameters)} parameters, {Quantity.Size(totals.Bytes)}");
        foreach (var (key, value) in report.Metadata.Take(ShownMetadata)) _output.WriteLine($"metadata {TensorName.Quote(key)}: {TensorName.Quote(value)}");
        if (report.Metadata.Count > ShownMetadata) _output.WriteLine($"  and {report.Metadata.Count - ShownMetadata} more; --json has all");
        WriteScales(report.Scales);

        var types = new TableWriter("type", "tensors", "parameters", "bytes") { Numbers = new HashSet<string> { "tensors", "parameters", "bytes" } };
        foreach (var type in report.Types) types.Add([type.Type.FileName(), .. Cells(type.Totals)]);
        WriteTable(types);

        var formats = new TableWriter("quantized weights", "tensors", "parameters", "bytes") { Numbers = new HashSet<string> { "tensors", "parameters", "bytes" } };
        foreach (var format in report.Quantized) formats.Add([format.Format, .. Cells(format.Totals)]);
        WriteTable(formats);
    }

    private void WriteTable(TableWriter table)
    {
        if (table.IsEmpty) return;

        _output.WriteLine();
        table.Write(surroundings);
    }

    private void WriteTensors(IReadOnlyList<TensorReport> tensors)
    {
        var table = new TableWriter("tensor", "type", "shape", "bytes", "kind", "format", "file") { Numbers = new HashSet<string> { "bytes" } };
        foreach (var tensor in tensors)
            table.Add([tensor.Info.Name, tensor.Info.Type.FileName(), Shape(tensor.Info.Shape), Quantity.Text($"{tensor.Info.ByteCount}"), tensor.Kind is { } kind ? Words(kind) : "-", tensor.Format, tensor.File]);
        table.Write(surroundings);
    }

    private void WriteScales(ScaleReport? scales)
    {
        if (scales is { AreChecked: false }) _output.WriteLine($"The scales of quantized weights ({Quantity.Size(scales.Bytes)}) were not looked at: they have more than {Quantity.Size(ScaleReport.Limit)}.");
    }

    private void WriteWarnings(IReadOnlyList<string> warnings)
    {
        if (warnings.Count == 0) return;

        _output.WriteLine();
        foreach (string warning in warnings.Take(ShownWarnings)) _output.WriteLine($"warning: {warning}");
        if (warnings.Count > ShownWarnings) _output.WriteLine($"  and {Quantity.Counted(warnings.Count - ShownWarnings, "warning", "warnings")} more; --json has all");
    }

    private void WriteJson<T>(T value, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) => _output.WriteLine(JsonSerializer.Serialize(value, type));

    private static string[] Cells(TensorTotals totals) => [$"{totals.Tensors}", Quantity.Short(totals.Parameters), Quantity.Size(totals.Bytes)];

    private static string Shape(IReadOnlyList<long> shape) => $"[{string.Join(", ", shape)}]";

    private static string Width(AttentionShape attention) =>
        attention.LatentRank is { } rank ? $", latent rank {rank}" : attention.HeadSize is { } size ? $", head size {size}" : "";

    private static string Quantized(QuantizationConfig? quantization) => quantization is null ? "" : $", quantization {TensorName.Quote(quantization.Method)[1..^1]}";

    private static string Words(TensorKind kind) => kind switch
    {
        TensorKind.Experts => "experts",
        TensorKind.SharedExperts => "shared experts",
        TensorKind.Routers => "routers",
        TensorKind.DenseMlps => "dense MLPs",
        TensorKind.Attention => "attention",
        TensorKind.Embeddings => "embeddings",
        TensorKind.Extras => "not used (MTP, vision)",
        _ => "norms and other",
    };
}
