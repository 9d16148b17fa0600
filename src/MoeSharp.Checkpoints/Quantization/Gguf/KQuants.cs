namespace MoeSharp.Checkpoints;

/// <summary>What the K types have in common: blocks of 256 numbers, in groups with small scales of their own.</summary>
internal static class KQuants
{
    public const int Length = 256;

    /// <summary>Two bits of a number: of each 32 bytes, their lowest two bits are 32 numbers, the next two the next 32, and so on.</summary>
    public static int TwoBits(ReadOnlySpan<byte> bytes, int index) => GgufFields.Bits(bytes[index / 128 * 32 + index % 32], index % 128 / 32 * 2, 2);

    /// <summary>The two bits of all numbers.</summary>
    public static void TwoBits(ReadOnlySpan<byte> bytes, Span<byte> to)
    {
        for (int i = 0; i < Length; i += 32) BitFields.Extract(bytes.Slice(i / 128 * 32, 32), i % 128 / 32 * 2, 3, to[i..]);
    }

    /// <summary>A nibble of a number: of each 32 bytes, the lower halves are 32 numbers and the upper halves the next 32.</summary>
    public static int Nibble(ReadOnlySpan<byte> bytes, int index) => GgufFields.Bits(bytes[index / 64 * 32 + index % 32], index % 64 / 32 * 4, 4);

    /// <summary>The nibbles of all numbers.</summary>
    public static void Nibbles(ReadOnlySpan<byte> bytes, Span<byte> to)
    {
        for (int i = 0; i < Length; i += 32) BitFields.Extract(bytes.Slice(i / 64 * 32, 32), i % 64 / 32 * 4, 0xf, to[i..]);
    }

    /// <summary>One more bit of a number: bit g of 32 bytes is that of the numbers of group g of 32.</summary>
    public static int OneBit(ReadOnlySpan<byte> bytes, int index) => GgufFields.Bits(bytes[index % 32], index / 32, 1);

    /// <summary>Puts these bits into numbers.</summary>
    public static void OneBit(ReadOnlySpan<byte> bytes, int place, Span<byte> to)
    {
        for (int i = 0; i < Length; i += 32) BitFields.Insert(bytes[..32], i / 32, 1, place, to[i..]);
    }

    /// <summary>The scale and the minimum, 6 bits each, of a group of 32 in Q4_K and Q5_K; twelve bytes hold eight of both.</summary>
    public static (int Scale, int Minimum) ScaleAndMinimum(ReadOnlySpan<byte> packed, int group)
    {
        if (group < 4) return (packed[group] & 0x3f, packed[4 + group] & 0x3f);

        int i = group - 4;
        return ((packed[8 + i] & 0xf) | ((packed[i] >> 2) & 0x30), (packed[8 + i] >> 4) | ((packed[4 + i] >> 2) & 0x30));
    }
}

/// <summary>Q2_K: 16 bytes of scale and minimum, 4 bits each, 64 bytes of two bits, <c>d</c>, <c>dmin</c> f16; <c>(d · s) · q - dmin · m</c> in groups of 16.</summary>
internal readonly struct Q2BlockK : IGgufBlock
{
    private const int Group = 16, Numbers = 16, D = 80, DMin = 82;

    public static string Name => "Q2_K";

    public static int Length => KQuants.Length;

    public static int ByteCount => 84;

    public static float Value(ReadOnlySpan<byte> block, int index)
    {
        var (scale, minimum) = OfGroup(block, index / Group);
        return scale * KQuants.TwoBits(block[Numbers..], index) - minimum;
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[KQuants.Length];
        KQuants.TwoBits(block[Numbers..], codes);
        for (int i = 0; i < codes.Length; i += Group)
        {
            var (scale, minimum) = OfGroup(block, i / Group);
            AffineBytes.Decode(codes.Slice(i, Group), scale, -minimum, to.Slice(i, Group));
        }
    }

    private static (float Scale, float Minimum) OfGroup(ReadOnlySpan<byte> block, int group) =>
        (GgufFields.Half(block, D) * (block[group] & 0xf), GgufFields.Half(block, DMin) * (block[group] >> 4));
}

/// <summary>Q3_K: 32 bytes of third bits, 64 of two bits, 12 of scales (6 bits each), <c>d</c> f16; <c>(d · (s - 32)) · (q - 4)</c> in groups of 16.</summary>
internal readonly struct Q3BlockK : IGgufBlock
{
    private const int Group = 16, Numbers = 32, Scales = 96, D = 108;

    public static string Name => "Q3_K";

    public static int Length => KQuants.Length;

    public static int ByteCount => 110;

    public static float Value(ReadOnlySpan<byte> block, int index) =>
        Scale(block, index / Group) * ((KQuants.TwoBits(block[Numbers..], index) | (KQuants.OneBit(block, index) << 2)) - 4);

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[KQuants.Length];
        KQuants.TwoBits(block[Numbers..], codes);
        KQuants.OneBit(block, 2, codes);
        for (int i = 0; i < codes.Length; i += Group) IntegerCodes.Decode(codes.Slice(i, Group), 8, zero: 4, Scale(block, i / Group), to.Slice(i, Group));
    }

    // four bits from the first eight bytes, lower halves first; two more from the last four
    private static float Scale(ReadOnlySpan<byte> block, int group)
    {
        var packed = block[Scales..];
        int scale = GgufFields.Bits(packed[group % 8], group / 8 * 4, 4) | (GgufFields.Bits(packed[8 + group % 4], group / 4 * 2, 2) << 4);
        return GgufFields.Half(block, D) * (scale - 32);
    }
}

/// <summary>Q4_K: <c>d</c>, <c>dmin</c> f16, 12 bytes of scales and minima, 128 of nibbles; <c>(d · s) · q - dmin · m</c> in groups of 32.</summary>
internal readonly struct Q4BlockK : IGgufBlock
{
    private const int Group = 32, Scales = 4, Numbers = 16;

    public static string Name => "Q4_K";

    public static int Length => KQuants.Length;

    public static int ByteCount => 144;

    public static float Value(ReadOnlySpan<byte> block, int index)
    {
        var (scale, minimum) = OfGroup(block, index / Group);
        return scale * KQuants.Nibble(block[Numbers..], index) - minimum;
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[KQuants.Length];
        KQuants.Nibbles(block[Numbers..], codes);
        for (int i = 0; i < codes.Length; i += Group)
        {
            var (scale, minimum) = OfGroup(block, i / Group);
            AffineBytes.Decode(codes.Slice(i, Group), scale, -minimum, to.Slice(i, Group));
        }
    }

    /// <summary>The scale and minimum of a group, which Q5_K has in the same places.</summary>
    public static (float Scale, float Minimum) OfGroup(ReadOnlySpan<byte> block, int group)
    {
        var (scale, minimum) = KQuants.ScaleAndMinimum(block[Scales..], group);
        return (GgufFields.Half(block, 0) * scale, GgufFields.Half(block, 2) * minimum);
    }
}

/// <summary>Q5_K: as Q4_K, with 32 bytes of fifth bits before the nibbles.</summary>
internal readonly struct Q5BlockK : IGgufBlock
{
    private const int Group = 32, FifthBits = 16, Numbers = 48;

    public static string Name => "Q5_K";

    public static int Length => KQuants.Length;

    public static int ByteCount => 176;

    public static float Value(ReadOnlySpan<byte> block, int index)
    {
        var (scale, minimum) = Q4BlockK.OfGroup(block, index / Group);
        return scale * (KQuants.Nibble(block[Numbers..], index) | (KQuants.OneBit(block[FifthBits..], index) << 4)) - minimum;
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[KQuants.Length];
        KQuants.Nibbles(block[Numbers..], codes);
        KQuants.OneBit(block[FifthBits..], 4, codes);
        for (int i = 0; i < codes.Length; i += Group)
        {
            var (scale, minimum) = Q4BlockK.OfGroup(block, i / Group);
            AffineBytes.Decode(codes.Slice(i, Group), scale, -minimum, to.Slice(i, Group));
        }
    }
}

/// <summary>Q6_K: 128 bytes of nibbles, 64 of two upper bits, 16 signed scales, <c>d</c> f16; <c>(d · s) · (q - 32)</c> in groups of 16.</summary>
internal readonly struct Q6BlockK : IGgufBlock
{
    private const int Group = 16, UpperBits = 128, Scales = 192, D = 208;

    public static string Name => "Q6_K";

    public static int Length => KQuants.Length;

    public static int ByteCount => 210;

    public static float Value(ReadOnlySpan<byte> block, int index)
    {
        int nibble = GgufFields.Bits(block[index / 128 * 64 + index % 64], index % 128 / 64 * 4, 4);
        return Scale(block, index / Group) * ((nibble | (KQuants.TwoBits(block[UpperBits..], index) << 4)) - 32);
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[KQuants.Length];
        for (int i = 0; i < codes.Length; i += 64) BitFields.Extract(block.Slice(i / 128 * 64, 64), i % 128 / 64 * 4, 0xf, codes[i..]);
        for (int i = 0; i < codes.Length; i += 32) BitFields.Insert(block.Slice(UpperBits + i / 128 * 32, 32), i % 128 / 32 * 2, 3, 4, codes[i..]);
        for (int i = 0; i < codes.Length; i += Group) IntegerCodes.Decode(codes.Slice(i, Group), 8, zero: 32, Scale(block, i / Group), to.Slice(i, Group));
    }

    private static float Scale(ReadOnlySpan<byte> block, int group) => GgufFields.Half(block, D) * (sbyte)block[Scales + group];
}
