namespace MoeSharp;

/// <summary>
/// The rows of experts as an outer product reads them: float32 rows as they are; of bfloat16 two neighbours in one, value beside value, of
/// which an expert's last may be without a second.
/// </summary>
/// <param name="start">The first row.</param>
/// <param name="stride">Bytes from a row, or from two, to the next.</param>
/// <param name="type">The type.</param>
internal readonly unsafe struct OuterRows(byte* start, nint stride, TileType type)
{
    /// <summary>Bytes from one lane of depth to the next.</summary>
    public nint Stride => stride;

    /// <summary>How many there is room needed for, of <paramref name="rows"/> rows of so many experts.</summary>
    public static long Count(int rows, int experts, TileType type) => type == TileType.Float32 ? rows : (rows + (long)experts) / 2 + 1;

    /// <summary>Where an expert begins, whose first row is <paramref name="first"/>; of float32, where any row does.</summary>
    public byte* Of(int expert, int first) => start + (type == TileType.Float32 ? first : (nint)(((long)first + expert) / 2)) * stride;

    /// <summary>Puts bfloat16 values of a row from a column on. An expert's rows come in their order.</summary>
    public void Put(int expert, int first, int row, int column, ushort* values, int count) =>
        BFloat16Values.PutHalf(values, count, (uint*)(Of(expert, first) + (row - first) / 2 * stride) + column, isHigh: (row - first) % 2 != 0);
}
