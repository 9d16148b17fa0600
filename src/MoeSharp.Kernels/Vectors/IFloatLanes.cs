namespace MoeSharp;

/// <summary>
/// A vector of float32 as wide as the processor's registers. The runtime would take a wider one apart, operation by operation and through
/// memory, ten times slower; so loops are written once over this, and compiled for <see cref="Lanes16"/>, <see cref="Lanes8"/> and
/// <see cref="Lanes4"/>.
/// </summary>
/// <remarks>
/// A loop over it that passes run is a method of its own, never inlined, and so is each step of a pass. Where the runtime optimizes by a profile, its default, it may
/// otherwise draw all of a pass into one method, and its budget for that ends before the innermost operations: these are calls then, and few tokens
/// took twice their time in one process and not in another.
/// </remarks>
internal unsafe interface IFloatLanes<TSelf>
    where TSelf : struct, IFloatLanes<TSelf>
{
    /// <summary>Values in a vector: 16, 8 or 4.</summary>
    static abstract int Count { get; }

    /// <summary>The same value in all lanes.</summary>
    static abstract TSelf Create(float value);

    static abstract TSelf Load(float* from);

    /// <summary>Values of bfloat16, which float32 has too.</summary>
    static abstract TSelf LoadBFloat16(ushort* from);

    static abstract TSelf operator +(TSelf a, TSelf b);

    static abstract TSelf operator -(TSelf a, TSelf b);

    static abstract TSelf operator *(TSelf a, TSelf b);

    static abstract TSelf operator /(TSelf a, TSelf b);

    static abstract TSelf operator -(TSelf a);

    /// <summary>The bits of both: with a mask, the value or zero.</summary>
    static abstract TSelf operator &(TSelf a, TSelf b);

    /// <summary>The bits of <paramref name="a"/> that <paramref name="b"/> has not.</summary>
    static abstract TSelf AndNot(TSelf a, TSelf b);

    /// <summary>a · b + c, rounded once where the processor can.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, TSelf b, TSelf c);

    /// <summary>The smaller; NaN when one is.</summary>
    static abstract TSelf Min(TSelf a, TSelf b);

    /// <summary>The larger; NaN when one is.</summary>
    static abstract TSelf Max(TSelf a, TSelf b);

    static abstract TSelf Abs(TSelf a);

    static abstract TSelf Floor(TSelf a);

    /// <summary>All bits where a &gt; b, else none.</summary>
    static abstract TSelf GreaterThan(TSelf a, TSelf b);

    /// <summary>Where the mask has bits <paramref name="yes"/>, else <paramref name="no"/>.</summary>
    static abstract TSelf Select(TSelf mask, TSelf yes, TSelf no);

    /// <summary>2^n of whole numbers from -126 to 127.</summary>
    static abstract TSelf PowerOfTwo(TSelf n);

    /// <summary>The sum of the lanes, upper half to lower half again and again.</summary>
    static abstract float Sum(TSelf a);

    void Store(float* to);

    /// <summary>Stores past the caches; <paramref name="to"/> is aligned to a vector.</summary>
    void Stream(float* to);

    /// <summary>Stores as bfloat16, as <see cref="BFloat16Values"/> rounds.</summary>
    void StoreBFloat16(ushort* to);

    /// <summary>The same past the caches, where so few bytes can go; <paramref name="to"/> is aligned to them.</summary>
    void StreamBFloat16(ushort* to);
}
