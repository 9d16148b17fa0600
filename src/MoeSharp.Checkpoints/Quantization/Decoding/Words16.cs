using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp.Checkpoints;

/// <summary>Sixteen words: AVX-512.</summary>
internal readonly struct Words16 : IWordLanes<Words16>
{
    private readonly Vector512<int> _words;

    private Words16(Vector512<int> words)
    {
        _words = words;
    }

    public static int Count => 16;

    public static Words16 Create(int word) => new(Vector512.Create(word));

    public static Words16 Create(float value) => new(Vector512.Create(value).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words16 Bytes(ref readonly byte from) =>
        new(Avx512F.ConvertToVector512UInt32(Vector128.LoadUnsafe(in from)).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words16 Shorts(ref readonly byte from) =>
        new(Avx512F.ConvertToVector512UInt32(Vector256.LoadUnsafe(in from).AsUInt16()).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words16 LowNibblesFirst(ref readonly byte from) =>
        Nibbles(in from, Vector512.Create(0u, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words16 HighNibblesFirst(ref readonly byte from) =>
        Nibbles(in from, Vector512.Create(4u, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words16 LookUp(Words16 words, ref readonly float table) =>
        new(Avx512F.PermuteVar16x32(Vector512.LoadUnsafe(in table), words._words).AsInt32());

    public static Words16 operator &(Words16 a, Words16 b) => new(a._words & b._words);

    public static Words16 operator |(Words16 a, Words16 b) => new(a._words | b._words);

    public static Words16 operator +(Words16 a, Words16 b) => new(a._words + b._words);

    public static Words16 operator -(Words16 a, Words16 b) => new(a._words - b._words);

    public static Words16 operator <<(Words16 a, int bits) => new(a._words << bits);

    public static Words16 operator >>(Words16 a, int bits) => new(a._words >> bits);

    public static Words16 LessThan(Words16 a, Words16 b) => new(Vector512.LessThan(a._words, b._words));

    public static Words16 Select(Words16 mask, Words16 yes, Words16 no) => new(Vector512.ConditionalSelect(mask._words, yes._words, no._words));

    public static Words16 ToSingle(Words16 words) => new(Vector512.ConvertToSingle(words._words).AsInt32());

    public static Words16 Add(Words16 a, Words16 b) => new((a._words.AsSingle() + b._words.AsSingle()).AsInt32());

    public static Words16 Multiply(Words16 a, Words16 b) => new((a._words.AsSingle() * b._words.AsSingle()).AsInt32());

    public void Store(ref float to) => _words.AsSingle().StoreUnsafe(ref to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Words16 Nibbles(ref readonly byte from, Vector512<uint> shifts)
    {
        var two = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(in from)).AsUInt32();
        var words = Avx512F.PermuteVar16x32(two.ToVector256Unsafe().ToVector512Unsafe(), Vector512.Create(0u, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
        return new((Avx512F.ShiftRightLogicalVariable(words, shifts) & Vector512.Create(0xfu)).AsInt32());
    }
}
