namespace MoeSharp.Training;

/// <summary>How our numbers compare with those of a reference case.</summary>
/// <param name="Path">The case.</param>
/// <param name="Kind">What it is a case of: <c>layer</c>, <c>router</c>, <c>tensor</c>, <c>model</c> or <c>training</c>.</param>
/// <param name="Rows">One for each tensor that was compared.</param>
/// <param name="Skipped">Tensors of the case that nothing was compared with.</param>
public sealed record VerifyReport(string Path, string Kind, IReadOnlyList<VerifyRow> Rows, IReadOnlyList<string> Skipped)
{
    /// <summary>Whether every compared tensor is within its limit.</summary>
    public bool Passed => Rows.All(row => row.Passed);
}

/// <summary>The comparison of one tensor.</summary>
/// <param name="Tensor">Its name in the case.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Error">max|ours − theirs| / max|theirs|, absolute where theirs is all zero; for ids, how many differ.</param>
/// <param name="Limit">The largest error that passes.</param>
public sealed record VerifyRow(string Tensor, IReadOnlyList<long> Shape, double Error, double Limit)
{
    /// <summary>Whether the error is within the limit; an error that is not a number is not.</summary>
    public bool Passed => Error <= Limit;
}
