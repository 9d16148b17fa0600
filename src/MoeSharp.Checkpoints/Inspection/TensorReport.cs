namespace MoeSharp.Checkpoints;

/// <summary>A tensor of a checkpoint.</summary>
/// <param name="Info">Name, type, shape and size, by the header of its file.</param>
/// <param name="File">The name of the file that it is in.</param>
/// <param name="Kind">What it is for; null in a file by itself, which does not say.</param>
/// <param name="Layer">The layer that it is in; null for none.</param>
/// <param name="Format">How its numbers are stored: its type, or the format of the quantized weight that it is part of.</param>
/// <param name="Parameters">
/// The weights that it holds: its elements; of a quantized weight the decoded ones, all counted with its codes. 0 for tensors of whole numbers,
/// scales, and an output head that is not used because the embeddings are tied.
/// </param>
public sealed record TensorReport(TensorInfo Info, string File, TensorKind? Kind, int? Layer, string Format, long Parameters);

/// <summary>A part of a model: tensors of one kind, format or file.</summary>
/// <param name="Tensors">How many tensors.</param>
/// <param name="Parameters">The weights in them, as <see cref="TensorReport.Parameters"/> counts them.</param>
/// <param name="Bytes">Their bytes.</param>
public readonly record struct TensorTotals(int Tensors, long Parameters, long Bytes)
{
    internal static TensorTotals Of(IEnumerable<TensorReport> tensors) => tensors.Aggregate(default(TensorTotals), With);

    internal static TensorTotals Of(IEnumerable<TensorTotals> parts) =>
        parts.Aggregate(default(TensorTotals), (total, part) => new(total.Tensors + part.Tensors, total.Parameters + part.Parameters, total.Bytes + part.Bytes));

    internal static TensorTotals With(TensorTotals total, TensorReport tensor) => new(total.Tensors + 1, total.Parameters + tensor.Parameters, total.Bytes + tensor.Info.ByteCount);
}

/// <summary>The tensors of one kind.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Totals">All of them.</param>
/// <param name="Formats">The same by format, the one with the most bytes first.</param>
public sealed record KindReport(TensorKind Kind, TensorTotals Totals, IReadOnlyList<FormatReport> Formats);

/// <summary>The tensors of one format.</summary>
/// <param name="Format">The format in words, such as <c>BF16</c> or <c>E4M3 in blocks of 128x128, F32 scales</c>.</param>
/// <param name="Totals">The tensors; of quantized weights their scales too.</param>
public sealed record FormatReport(string Format, TensorTotals Totals)
{
    internal static IReadOnlyList<FormatReport> Of(IEnumerable<TensorReport> tensors) =>
        Sorted(tensors.AggregateBy(tensor => tensor.Format, default(TensorTotals), TensorTotals.With).Select(format => new FormatReport(format.Key, format.Value)));

    internal static IReadOnlyList<FormatReport> Sorted(IEnumerable<FormatReport> formats) => [.. formats.OrderByDescending(format => format.Totals.Bytes)];
}

/// <summary>A file of a model.</summary>
/// <param name="File">Its name.</param>
/// <param name="Totals">Its tensors.</param>
public sealed record FileReport(string File, TensorTotals Totals);

/// <summary>The scales, zero points and indices of quantized weights: values that can contradict the weights.</summary>
/// <param name="Bytes">Their bytes.</param>
/// <param name="AreChecked">Whether they were read and checked: when they have no more bytes than <see cref="Limit"/>.</param>
public sealed record ScaleReport(long Bytes, bool AreChecked)
{
    /// <summary>The most bytes of scales that a report reads.</summary>
    public const long Limit = 64_000_000;
}
