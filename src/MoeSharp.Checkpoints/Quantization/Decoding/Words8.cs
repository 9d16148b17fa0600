using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp.Checkpoints;

/// <summary>Eight words: AVX2.</summary>
internal readonly struct Words8 : IWordLanes<Words8>
{
    private readonly Vector256<int> _words;

    private Words8(Vector256<int> words)
    {
        _words = words;
    }

    public static int Count => 8;

    public static Words8 Create(int word) => new(Vector256.Create(word));

    public static Words8 Create(float value) => new(Vector256.Create(value).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words8 Bytes(ref readonly byte from) =>
        new(Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(in from)).AsByte()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words8 Shorts(ref readonly byte from) =>
        new(Avx2.ConvertToVector256Int32(Vector128.LoadUnsafe(in from).AsUInt16()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words8 LowNibblesFirst(ref readonly byte from) =>
        Nibbles(in from, Vector256.Create(0u, 4, 8, 12, 16, 20, 24, 28));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words8 HighNibblesFirst(ref readonly byte from) =>
        Nibbles(in from, Vector256.Create(4u, 0, 12, 8, 20, 16, 28, 24));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words8 LookUp(Words8 words, ref readonly float table)
    {
        // a register holds half of the table: look up in both halves, and bit 3 of the index, as the sign, chooses
        var low = Avx2.PermuteVar8x32(Vector256.LoadUnsafe(in table), words._words);
        var high = Avx2.PermuteVar8x32(Vector256.LoadUnsafe(in table, 8), words._words);
        return new(Avx.BlendVariable(low, high, (words._words << 28).AsSingle()).AsInt32());
    }

    public static Words8 operator &(Words8 a, Words8 b) => new(a._words & b._words);

    public static Words8 operator |(Words8 a, Words8 b) => new(a._words | b._words);

    public static Words8 operator +(Words8 a, Words8 b) => new(a._words + b._words);

    public static Words8 operator -(Words8 a, Words8 b) => new(a._words - b._words);

    public static Words8 operator <<(Words8 a, int bits) => new(a._words << bits);

    public static Words8 operator >>(Words8 a, int bits) => new(a._words >> bits);

    public static Words8 LessThan(Words8 a, Words8 b) => new(Vector256.LessThan(a._words, b._words));

    public static Words8 Select(Words8 mask, Words8 yes, Words8 no) => new(Vector256.ConditionalSelect(mask._words, yes._words, no._words));

    public static Words8 ToSingle(Words8 words) => new(Vector256.ConvertToSingle(words._words).AsInt32());

    public static Words8 Add(Words8 a, Words8 b) => new((a._words.AsSingle() + b._words.AsSingle()).AsInt32());

    public static Words8 Multiply(Words8 a, Words8 b) => new((a._words.AsSingle() * b._words.AsSingle()).AsInt32());

    public void Store(ref float to) => _words.AsSingle().StoreUnsafe(ref to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Words8 Nibbles(ref readonly byte from, Vector256<uint> shifts) =>
        new((Avx2.ShiftRightLogicalVariable(Vector256.Create(Unsafe.ReadUnaligned<uint>(in from)), shifts) & Vector256.Create(0xfu)).AsInt32());
}
