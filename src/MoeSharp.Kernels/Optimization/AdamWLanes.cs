using System.Numerics;
using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>How values lie in memory. The kernel computes in float32 on two vectors at a time, which is one vector of bfloat16.</summary>
internal unsafe interface IAdamWLanes
{
    /// <summary>The bytes of a value; 0 where nothing is stored.</summary>
    static abstract int Size { get; }

    static abstract (Vector<float> Low, Vector<float> High) Load(void* values, long index);

    static abstract void Store(void* values, long index, Vector<float> low, Vector<float> high);
}

internal readonly unsafe struct Float32Lanes : IAdamWLanes
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> Low, Vector<float> High) Load(void* values, long index) =>
        (Vector.Load((float*)values + index), Vector.Load((float*)values + index + Vector<float>.Count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(void* values, long index, Vector<float> low, Vector<float> high)
    {
        low.Store((float*)values + index);
        high.Store((float*)values + index + Vector<float>.Count);
    }
}

/// <summary>bfloat16: the upper half of a float32, rounded to nearest, ties to even; what overflows is infinite, and a NaN stays one.</summary>
internal readonly unsafe struct BFloat16Lanes : IAdamWLanes
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> Low, Vector<float> High) Load(void* values, long index)
    {
        Vector.Widen(Vector.Load((ushort*)values + index), out var low, out var high);
        return (Vector.AsVectorSingle(Vector.ShiftLeft(low, 16)), Vector.AsVectorSingle(Vector.ShiftLeft(high, 16)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(void* values, long index, Vector<float> low, Vector<float> high) =>
        Vector.Narrow(Vector.ShiftRightLogical(Bits(low), 16), Vector.ShiftRightLogical(Bits(high), 16)).Store((ushort*)values + index);

    // the lower half of the result means nothing
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Bits(Vector<float> value)
    {
        var bits = Vector.AsVectorUInt32(value);
        var rounded = bits + Vector.Create(0x7FFFu) + (Vector.ShiftRightLogical(bits, 16) & Vector<uint>.One);
        return Vector.ConditionalSelect(Vector.AsVectorUInt32(Vector.Equals(value, value)), rounded, bits | Vector.Create(0x0040_0000u));
    }
}

/// <summary>Nothing: a gradient of zeros, or no copy of the weights.</summary>
internal readonly unsafe struct NoLanes : IAdamWLanes
{
    public static int Size => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> Low, Vector<float> High) Load(void* values, long index) => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(void* values, long index, Vector<float> low, Vector<float> high)
    {
    }
}
