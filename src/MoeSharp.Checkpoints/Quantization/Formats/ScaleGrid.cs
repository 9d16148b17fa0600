namespace MoeSharp.Checkpoints;

/// <summary>
/// A scale for each block of a matrix: that of weight (i, j) is entry (i / BlockRows, j / BlockColumns), also where blocks at the edges are
/// cut. One block as large as the matrix is a scale per tensor, blocks of one row a scale per channel.
/// </summary>
/// <param name="Scales">The entries, row-major.</param>
/// <param name="BlockRows">Rows of a block.</param>
/// <param name="BlockColumns">Columns of a block.</param>
/// <param name="Across">Entries in a row of the grid.</param>
internal sealed record ScaleGrid(TensorData Scales, int BlockRows, int BlockColumns, int Across)
{
    /// <summary>A number that every scale is multiplied by; null for none.</summary>
    public float? Factor { get; init; }

    /// <summary>A number that every scale is divided by; null for none.</summary>
    public float? Divisor { get; init; }

    /// <summary>A grid over a matrix.</summary>
    public static ScaleGrid Over(int columns, TensorData scales, int blockRows, int blockColumns) =>
        new(scales, blockRows, blockColumns, (columns + blockColumns - 1) / blockColumns);

    /// <summary>The scale of a weight.</summary>
    public float At(int row, int column) => Scaled(ScaleValues.Read(Scales, (long)(row / BlockRows) * Across + column / BlockColumns));

    /// <summary>The scales that a row of weights goes through.</summary>
    public void Read(int row, Span<float> to)
    {
        ScaleValues.Read(Scales, (long)(row / BlockRows) * Across, to);
        if (Factor is null && Divisor is null) return;

        foreach (ref float scale in to) scale = Scaled(scale);
    }

    private float Scaled(float scale) => Divisor is { } divisor ? scale / divisor : Factor is { } factor ? scale * factor : scale;
}
