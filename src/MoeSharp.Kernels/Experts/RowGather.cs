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
        bool isAsIs = tokens.Type == TileType.BFloat16 && shape.Type == TileType.BFloat16 && weight == 1;
        if (!isAsIs)
        {
            Copy(tokens.Read(token, room), row, shape, weight);
            return;
        }

        ClearLastLane(row, shape);
        new ReadOnlySpan<ushort>(tokens.At(token), shape.Hidden).CopyTo(new(row, shape.Hidden));
    }

    /// <summary>Copies <paramref name="token"/> times <paramref name="weight"/>; fills the last lane.</summary>
    public static void Copy(float* token, byte* row, ExpertShape shape, float weight)
    {
        int count = shape.Hidden;
        ClearLastLane(row, shape);
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

    // of two values, of which an odd number has one
    private static void ClearLastLane(byte* row, ExpertShape shape)
    {
        if (shape.Type == TileType.BFloat16 && shape.Hidden % 2 != 0) ((ushort*)row)[shape.Hidden] = 0;
    }
}
