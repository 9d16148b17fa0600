namespace MoeSharp;

/// <summary>The tokens of a pass or their sums, [T, D] without gaps, as the caller has them: of float32 or bfloat16, whatever the products read.</summary>
/// <param name="start">The first value.</param>
/// <param name="type">The type of the values.</param>
/// <param name="size">D, the values of a row.</param>
internal readonly unsafe struct TokenRows(void* start, TileType type, int size)
{
    /// <summary>Rows of float32.</summary>
    public TokenRows(float* start, int size)
        : this(start, TileType.Float32, size)
    {
    }

    /// <summary>The type of the values.</summary>
    public TileType Type => type;

    /// <summary>The values of a row as they lie.</summary>
    public byte* At(int row) => (byte*)start + (long)row * size * (type == TileType.Float32 ? sizeof(float) : sizeof(ushort));

    /// <summary>The values of a row in float32: where they lie, or in <paramref name="room"/> for D of them.</summary>
    public float* Read(int row, float* room)
    {
        if (type == TileType.Float32) return (float*)At(row);

        BFloat16Values.Widen(new(At(row), size), new(room, size));
        return room;
    }

    /// <summary>Where to write the values of a row in float32, before <see cref="Finish"/>: in the row, or in <paramref name="room"/> for D of them.</summary>
    public float* Begin(int row, float* room) => type == TileType.Float32 ? (float*)At(row) : room;

    /// <summary>Takes what was written where <see cref="Begin"/> said, rounded once.</summary>
    public void Finish(int row, float* values)
    {
        if (type == TileType.BFloat16) BFloat16Values.Round(new(values, size), new(At(row), size));
    }
}
