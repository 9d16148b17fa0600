namespace MoeSharp;

/// <summary>The rows of A of a product: neighbours, or picked from a matrix, where they are read without a copy.</summary>
/// <param name="first">The matrix's first row, or that of the neighbours.</param>
/// <param name="stride">Bytes from a row of the matrix to the next. Not a multiple of a large power of two, or rows share few sets of the nearest cache.</param>
/// <param name="count">The number of rows.</param>
/// <param name="picked">Which row of the matrix each is; null for neighbours.</param>
internal readonly unsafe struct TileInputs(byte* first, nint stride, int count, int* picked = null)
{
    /// <summary>The number of rows.</summary>
    public int Count => count;

    /// <summary>Writes where <paramref name="rows"/> rows lie.</summary>
    public void Place(int from, int rows, byte** places)
    {
        for (int row = 0; row < rows; row++) places[row] = first + (picked is null ? from + row : picked[from + row]) * stride;
    }
}
