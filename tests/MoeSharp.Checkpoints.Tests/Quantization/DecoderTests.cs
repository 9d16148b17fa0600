using System.Runtime.Intrinsics;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>The loops over vectors of every width that can run here, against one code after the other: every code, every length, no byte too many.</summary>
public sealed class DecoderTests
{
    private const int Longest = 70;

    private static readonly float[] Scales = [1, -0.37f, 3e-39f, 2e38f, float.NaN];

    private delegate void Decoder(ReadOnlySpan<byte> codes, float scale, Span<float> to);

    public static TheoryData<string> Widths => [.. Loops("").Keys];

    [Theory, MemberData(nameof(Widths))]
    public void ScaledCodes_EveryCode_IsItsValueTimesTheScale(string width)
    {
        CheckEveryCode(8, Loops("e4m3")[width], (code, scale) => SmallFloat.FromE4M3((byte)code) * scale);
        CheckEveryCode(8, Loops("e5m2")[width], (code, scale) => SmallFloat.FromE5M2((byte)code) * scale);
        CheckEveryCode(8, Loops("signed")[width], (code, scale) => (sbyte)code * scale);
        CheckEveryCode(4, Loops("e2m1")[width], (code, scale) => SmallFloat.FromE2M1((byte)code) * scale);
    }

    [Theory, MemberData(nameof(Widths))]
    public void IntegerCodes_EveryCode_IsItsDifferenceToZeroTimesTheScale(string width)
    {
        CheckEveryCode(8, Loops("bytes")[width], (code, scale) => (code - 77) * scale);
        CheckEveryCode(4, Loops("nibbles")[width], (code, scale) => (code - 77) * scale);
    }

    [Theory, MemberData(nameof(Widths))]
    public void AffineBytes_EveryByte_IsRoundedAfterTheProductAndAfterTheSum(string width) =>
        CheckEveryCode(8, Loops("affine")[width], (code, scale) => (float)(code * scale) + 0.3f);

    [Theory, MemberData(nameof(Widths))]
    public void TableCodes_EveryCode_IsItsEntryTimesTheScale(string width) =>
        CheckEveryCode(4, Loops("table")[width], (code, scale) => Table[code] * scale, isHighFirst: true);

    [Theory, MemberData(nameof(Widths))]
    public void HalfValues_EveryNumber_IsWidenedExactly(string width)
    {
        byte[] halves = new byte[2 << 16];
        for (int i = 0; i <= ushort.MaxValue; i++) BitConverter.TryWriteBytes(halves.AsSpan(2 * i), (ushort)i);

        float[] to = new float[1 << 16];
        Loops("halves")[width](halves, 1, to);
        for (int i = 0; i < to.Length; i++) BitAssert.Equal((float)BitConverter.UInt16BitsToHalf((ushort)i), to[i]);

        Loops("halves")[width](halves, 1, to.AsSpan(0, 21));       // a rest that fills no vector
        for (int i = 0; i < to.Length; i++) BitAssert.Equal((float)BitConverter.UInt16BitsToHalf((ushort)i), to[i]);
    }

    private static float[] Table { get; } = [.. Enumerable.Range(0, TableCodes.Entries).Select(i => MathF.Sin(i) - 0.5f)];

    private static unsafe void CheckEveryCode(int bits, Decoder decode, Func<int, float, float> value, bool isHighFirst = false)
    {
        using var memory = new GuardedMemory(1024);
        int codes = 1 << bits;
        foreach (float scale in Scales)
        {
            for (int first = 0; first < codes; first += 16)
            {
                for (int length = 0; length <= Longest; length++)
                {
                    int bytes = (length * bits + 7) / 8;
                    var packed = new Span<byte>(memory.Last(bytes), bytes);     // a byte further is not ours to read
                    packed.Clear();
                    for (int i = 0; i < length; i++)
                    {
                        int code = (first + i) % codes, place = isHighFirst ? (1 - i % 2) * 4 : i * bits % 8;
                        packed[i * bits / 8] |= (byte)(code << place);
                    }

                    float[] to = new float[length + 1];
                    to[length] = 123;
                    decode(packed, scale, to.AsSpan(0, length));

                    for (int i = 0; i < length; i++) BitAssert.Equal(value((first + i) % codes, scale), to[i]);
                    Assert.Equal(123, to[length]);
                }
            }
        }
    }

    // the widths that the processor has; four words always run
    private static Dictionary<string, Decoder> Loops(string kind)
    {
        var loops = new Dictionary<string, Decoder> { ["dispatched"] = Dispatched(kind), ["4"] = Of<Words4>(kind) };
        if (Vector256.IsHardwareAccelerated) loops["8"] = Of<Words8>(kind);
        if (Vector512.IsHardwareAccelerated) loops["16"] = Of<Words16>(kind);
        return loops;
    }

    private static Decoder Dispatched(string kind) => kind switch
    {
        "e4m3" => ScaledCodes.Decode<E4M3Code>,
        "e5m2" => ScaledCodes.Decode<E5M2Code>,
        "signed" => ScaledCodes.Decode<SignedByteCode>,
        "e2m1" => ScaledCodes.Decode<E2M1Code>,
        "bytes" => (codes, scale, to) => IntegerCodes.Decode(codes, 8, 77, scale, to),
        "nibbles" => (codes, scale, to) => IntegerCodes.Decode(codes, 4, 77, scale, to),
        "affine" => (codes, scale, to) => AffineBytes.Decode(codes, scale, 0.3f, to),
        "halves" => (codes, _, to) => HalfValues.Widen(codes, to),
        _ => (codes, scale, to) => TableCodes.Decode(codes, Table, scale, to),
    };

    private static Decoder Of<TLanes>(string kind)
        where TLanes : struct, IWordLanes<TLanes> => kind switch
        {
            "e4m3" => (codes, scale, to) => ScaledCodes.Decode<E4M3Code, TLanes>(codes, [scale], Longest, to),
            "e5m2" => (codes, scale, to) => ScaledCodes.Decode<E5M2Code, TLanes>(codes, [scale], Longest, to),
            "signed" => (codes, scale, to) => ScaledCodes.Decode<SignedByteCode, TLanes>(codes, [scale], Longest, to),
            "e2m1" => (codes, scale, to) => ScaledCodes.Decode<E2M1Code, TLanes>(codes, [scale, scale, scale], 26, to),
            "bytes" => (codes, scale, to) => IntegerCodes.Decode<IntegerCodes.Bytes, TLanes>(codes, [77], [scale], Longest, to),
            "nibbles" => (codes, scale, to) => IntegerCodes.Decode<IntegerCodes.Nibbles, TLanes>(codes, [77, 77, 77], [scale, scale, scale], 26, to),
            "affine" => (codes, scale, to) => AffineBytes.Decode<TLanes>(codes, scale, 0.3f, to),
            "halves" => (codes, _, to) => HalfValues.Widen<TLanes>(codes, to),
            _ => (codes, scale, to) => TableCodes.Decode<TLanes>(codes, Table, scale, to),
        };
}
