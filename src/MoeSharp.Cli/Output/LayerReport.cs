using System.Text.RegularExpressions;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary>One layer of a model: what it computes, and its tensors, those that differ by the number of the expert together.</summary>
/// <param name="Index">Its place in the model, from 0.</param>
/// <param name="Moe">The equal layers that it is one of; null for a dense layer.</param>
/// <param name="DenseWidth">The width of a dense layer's MLP; null for a MoE layer.</param>
/// <param name="Tensors">Its tensors.</param>
internal sealed record LayerReport(int Index, MoeLayersReport? Moe, int? DenseWidth, IReadOnlyList<TensorGroup> Tensors)
{
    public TensorTotals Totals => new(Tensors.Sum(group => group.Totals.Tensors), Tensors.Sum(group => group.Totals.Parameters), Tensors.Sum(group => group.Totals.Bytes));

    public static LayerReport Of(ModelReport report, int index) => new(
        index,
        report.MoeLayers.FirstOrDefault(layers => layers.Layers.Contains(index)),
        (report.Model.Layers[index] as MlpOptions.Dense)?.IntermediateSize,
        [.. report.Tensors.Where(tensor => tensor.Layer == index).GroupBy(TensorGroup.KeyOf).Select(TensorGroup.Of).OrderBy(group => group.Kind)]);
}

/// <summary>Tensors of a layer that differ by the number of the expert alone, for which the name has <c>{e}</c>.</summary>
internal sealed partial record TensorGroup(TensorKind Kind, string Name, TensorType Type, IReadOnlyList<long> Shape, string Format, TensorTotals Totals)
{
    public static (string Name, string Shape, string Format) KeyOf(TensorReport tensor) =>
        (tensor.Kind == TensorKind.Experts ? ExpertNumber().Replace(tensor.Info.Name, "experts.{e}.", 1) : tensor.Info.Name, $"{tensor.Info.Type} {string.Join(',', tensor.Info.Shape)}", tensor.Format);

    public static TensorGroup Of(IGrouping<(string Name, string Shape, string Format), TensorReport> tensors)
    {
        var first = tensors.First();
        return new(first.Kind!.Value, tensors.Key.Name, first.Info.Type, first.Info.Shape, tensors.Key.Format, Sum(tensors));
    }

    private static TensorTotals Sum(IEnumerable<TensorReport> tensors) => new(tensors.Count(), tensors.Sum(tensor => tensor.Parameters), tensors.Sum(tensor => tensor.Info.ByteCount));

    [GeneratedRegex(@"experts\.\d+\.")]
    private static partial Regex ExpertNumber();
}
