using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary>The JSON of <c>moesharp inspect FOLDER --json</c>.</summary>
internal sealed record InspectedModel
{
    public int Version { get; } = 1;

    public required string Path { get; init; }

    public required string Family { get; init; }

    public required int Layers { get; init; }

    public required int HiddenSize { get; init; }

    public required int VocabularySize { get; init; }

    public required AttentionShape Attention { get; init; }

    public required bool TiedEmbeddings { get; init; }

    public required string? Quantization { get; init; }

    public required long Parameters { get; init; }

    public required long ActiveParameters { get; init; }

    public required TensorTotals Totals { get; init; }

    public required ScaleReport? Scales { get; init; }

    public required IReadOnlyList<KindReport> Kinds { get; init; }

    public required IReadOnlyList<InspectedMoeLayers> MoeLayers { get; init; }

    public required IReadOnlyList<FileReport> Files { get; init; }

    public required IReadOnlyList<string> Warnings { get; init; }

    public static InspectedModel Of(ModelReport report) => new()
    {
        Path = report.Path,
        Family = report.Model.Family,
        Layers = report.Model.Layers.Count,
        HiddenSize = report.Model.HiddenSize,
        VocabularySize = report.Model.VocabularySize,
        Attention = report.Model.Attention,
        TiedEmbeddings = report.Model.TieEmbeddings,
        Quantization = report.Model.Quantization?.Method,
        Parameters = report.Parameters,
        ActiveParameters = report.ActiveParameters,
        Totals = report.Totals,
        Scales = report.Scales,
        Kinds = report.Kinds,
        MoeLayers = [.. report.MoeLayers.Select(layers => new InspectedMoeLayers(layers.Layers, layers.Router, OptionsOf(layers)))],
        Files = report.Files,
        Warnings = report.Warnings,
    };

    /// <summary>The options of a layer as a JSON object.</summary>
    public static JsonElement OptionsOf(MoeLayersReport layers)
    {
        using var document = JsonDocument.Parse(MoeOptionsJson.Write(layers.Options));
        return document.RootElement.Clone();
    }
}

/// <summary>Equal MoE layers: the router in words, and the options as reference cases write them.</summary>
internal sealed record InspectedMoeLayers(IReadOnlyList<int> Layers, string Router, JsonElement Options);

/// <summary>The JSON of <c>moesharp inspect FOLDER --layer N --json</c>.</summary>
internal sealed record InspectedLayer(int Version, string Path, string Family, int Layer, InspectedMoeLayers? Moe, int? DenseWidth, TensorTotals Totals, IReadOnlyList<TensorGroup> Tensors, IReadOnlyList<string> Warnings)
{
    public static InspectedLayer Of(ModelReport report, LayerReport layer) => new(
        1,
        report.Path,
        report.Model.Family,
        layer.Index,
        layer.Moe is { } moe ? new(moe.Layers, moe.Router, InspectedModel.OptionsOf(moe)) : null,
        layer.DenseWidth,
        layer.Totals,
        layer.Tensors,
        report.Warnings);
}

/// <summary>The JSON of <c>moesharp inspect FILE --json</c>.</summary>
internal sealed record InspectedFile(
    int Version, string Path, IReadOnlyDictionary<string, string> Metadata, TensorTotals Totals, ScaleReport? Scales, IReadOnlyList<TypeReport> Types, IReadOnlyList<FormatReport> Quantized, IReadOnlyList<string> Warnings)
{
    public static InspectedFile Of(TensorFileReport report) => new(1, report.Path, report.Metadata, report.Totals, report.Scales, report.Types, report.Quantized, report.Warnings);
}

/// <summary>The JSON of <c>moesharp inspect PATH --tensors --json</c>.</summary>
internal sealed record TensorListing(int Version, string Path, IReadOnlyList<ListedTensor> Tensors, IReadOnlyList<string> Warnings)
{
    public static TensorListing Of(ModelReport report) => new(1, report.Path, [.. report.Tensors.Select(ListedTensor.Of)], report.Warnings);

    public static TensorListing Of(TensorFileReport report) => new(1, report.Path, [.. report.Tensors.Select(ListedTensor.Of)], report.Warnings);
}

/// <summary>A tensor of a listing.</summary>
internal sealed record ListedTensor(string Name, TensorType Type, IReadOnlyList<long> Shape, long Bytes, TensorKind? Kind, int? Layer, string Format, long Parameters, string File)
{
    public static ListedTensor Of(TensorReport tensor) =>
        new(tensor.Info.Name, tensor.Info.Type, tensor.Info.Shape, tensor.Info.ByteCount, tensor.Kind, tensor.Layer, tensor.Format, tensor.Parameters, tensor.File);
}
