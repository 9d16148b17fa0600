namespace MoeSharp;

/// <summary>Copies a token to the row of an expert, in the type of the product.</summary>
internal static unsafe class RowGather
{
    /// <summary>Copies a token times <paramref name="weight"/>; fills the last lane.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="token">Which.</param>
    /// <param name="row">Receives the values.</param>
    /// <param name="shape">Their number and type.</param>
    /// <param name="weight">The factor.</param>
    /// <param name="room">Room for the token in float32.</param>
    public static void Copy(TokenRows tokens, int token, byte* row, ExpertShape shape, float weight, float* room)
    {
        if (tokens.Type == TileType.BFloat16 && shape.Type == TileType.BFloat16 && weight == 1) CopyBits((ushort*)tokens.At(token), (ushort*)row, shape.Hidden);
        else Copy(tokens.Read(token, room), row, shape, weight);
    }

    /// <summary>Copies <paramref name="token"/> times <paramref name="weight"/>; fills the last lane.</summary>
    public static void Copy(float* token, byte* row, ExpertShape shape, float weight)
    {
        int count = shape.Hidden;
        if (shape.Type == TileType.BFloat16 && count % 2 != 0) ((ushort*)row)[count] = 0;
        if (weight == 1)
        {
            PanelPacker.Copy(token, count, shape.Type, row);
            return;
        }

        const int Part = 256;
        float* scaled = stackalloc float[Part];
        for (int first = 0; first < count; first += Part)
        {
            int length = Math.Min(Part, count - first);
            for (int i = 0; i < length; i++) scaled[i] = token[first + i] * weight;
            PanelPacker.Copy(scaled, length, shape.Type, row + first * shape.ValueBytes);
        }
    }

    private static void CopyBits(ushort* token, ushort* row, int count)
    {
        if (count % 2 != 0) row[count] = 0;
        new ReadOnlySpan<ushort>(token, count).CopyTo(new(row, count));
    }
}
