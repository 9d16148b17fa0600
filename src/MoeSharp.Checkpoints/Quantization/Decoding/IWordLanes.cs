namespace MoeSharp.Checkpoints;

/// <summary>
/// A vector of 32-bit words as wide as the processor's registers, which loops read as codes and turn into float32. Loops are written once
/// over this and compiled for <see cref="Words16"/>, <see cref="Words8"/> and <see cref="Words4"/>: the runtime would take a vector wider
/// than the registers apart, operation by operation.
/// </summary>
internal interface IWordLanes<TSelf>
    where TSelf : struct, IWordLanes<TSelf>
{
    /// <summary>Words in a vector: 16, 8 or 4.</summary>
    static abstract int Count { get; }

    /// <summary>The same word in all lanes.</summary>
    static abstract TSelf Create(int word);

    /// <summary>The same float in all lanes.</summary>
    static abstract TSelf Create(float value);

    /// <summary>A byte for each lane, as 0 to 255; reads exactly <see cref="Count"/> bytes.</summary>
    static abstract TSelf Bytes(ref readonly byte from);

    /// <summary>Two bytes for each lane, as 0 to 65535; reads exactly twice <see cref="Count"/> bytes.</summary>
    static abstract TSelf Shorts(ref readonly byte from);

    /// <summary>Four bits for each lane, those of a byte's lower half first; reads exactly half of <see cref="Count"/> bytes.</summary>
    static abstract TSelf LowNibblesFirst(ref readonly byte from);

    /// <summary>Four bits for each lane, those of a byte's upper half first.</summary>
    static abstract TSelf HighNibblesFirst(ref readonly byte from);

    /// <summary>Entry i of sixteen for the words i, which are 0 to 15.</summary>
    static abstract TSelf LookUp(TSelf words, ref readonly float table);

    static abstract TSelf operator &(TSelf a, TSelf b);

    static abstract TSelf operator |(TSelf a, TSelf b);

    /// <summary>The sum of the words.</summary>
    static abstract TSelf operator +(TSelf a, TSelf b);

    /// <summary>The difference of the words.</summary>
    static abstract TSelf operator -(TSelf a, TSelf b);

    static abstract TSelf operator <<(TSelf a, int bits);

    static abstract TSelf operator >>(TSelf a, int bits);

    /// <summary>All bits where the word, as a signed number, is less; else none.</summary>
    static abstract TSelf LessThan(TSelf a, TSelf b);

    /// <summary>Where the mask has bits <paramref name="yes"/>, else <paramref name="no"/>.</summary>
    static abstract TSelf Select(TSelf mask, TSelf yes, TSelf no);

    /// <summary>Signed numbers as floats.</summary>
    static abstract TSelf ToSingle(TSelf words);

    /// <summary>The sum of floats.</summary>
    static abstract TSelf Add(TSelf a, TSelf b);

    /// <summary>The product of floats.</summary>
    static abstract TSelf Multiply(TSelf a, TSelf b);

    /// <summary>Stores the lanes as floats.</summary>
    void Store(ref float to);
}
