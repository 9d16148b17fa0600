using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>Four words: SSE, NEON and WebAssembly.</summary>
internal readonly struct Words4 : IWordLanes<Words4>
{
    private readonly Vector128<int> _words;

    private Words4(Vector128<int> words)
    {
        _words = words;
    }

    public static int Count => 4;

    public static Words4 Create(int word) => new(Vector128.Create(word));

    public static Words4 Create(float value) => new(Vector128.Create(value).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words4 Bytes(ref readonly byte from) =>
        new(Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(in from)).AsByte())).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words4 Shorts(ref readonly byte from) =>
        new(Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(in from)).AsUInt16()).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words4 LowNibblesFirst(ref readonly byte from) =>
        Nibbles(Unsafe.ReadUnaligned<ushort>(in from), 0, 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words4 HighNibblesFirst(ref readonly byte from) =>
        Nibbles(Unsafe.ReadUnaligned<ushort>(in from), 4, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words4 LookUp(Words4 words, ref readonly float table)
    {
        ref float first = ref Unsafe.AsRef(in table);
        return new(Vector128.Create(
            Unsafe.Add(ref first, words._words[0]), Unsafe.Add(ref first, words._words[1]),
            Unsafe.Add(ref first, words._words[2]), Unsafe.Add(ref first, words._words[3])).AsInt32());
    }

    public static Words4 operator &(Words4 a, Words4 b) => new(a._words & b._words);

    public static Words4 operator |(Words4 a, Words4 b) => new(a._words | b._words);

    public static Words4 operator +(Words4 a, Words4 b) => new(a._words + b._words);

    public static Words4 operator -(Words4 a, Words4 b) => new(a._words - b._words);

    public static Words4 operator <<(Words4 a, int bits) => new(a._words << bits);

    public static Words4 operator >>(Words4 a, int bits) => new(a._words >> bits);

    public static Words4 LessThan(Words4 a, Words4 b) => new(Vector128.LessThan(a._words, b._words));

    public static Words4 Select(Words4 mask, Words4 yes, Words4 no) => new(Vector128.ConditionalSelect(mask._words, yes._words, no._words));

    public static Words4 ToSingle(Words4 words) => new(Vector128.ConvertToSingle(words._words).AsInt32());

    public static Words4 Add(Words4 a, Words4 b) => new((a._words.AsSingle() + b._words.AsSingle()).AsInt32());

    public static Words4 Multiply(Words4 a, Words4 b) => new((a._words.AsSingle() * b._words.AsSingle()).AsInt32());

    public void Store(ref float to) => _words.AsSingle().StoreUnsafe(ref to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Words4 Nibbles(int word, int first, int second) =>
        new(Vector128.Create(word >> first, word >> second, word >> (8 + first), word >> (8 + second)) & Vector128.Create(0xf));
}
