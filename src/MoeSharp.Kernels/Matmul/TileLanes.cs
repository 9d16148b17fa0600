using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>What <see cref="ThreeRowTile{TVector, TLanes, TReads}"/> does with a vector of a width.</summary>
/// <remarks>
/// Over plain vectors, not over the structures of <see cref="IFloatLanes{TSelf}"/>, which would save the three widths: with those the compiler of .NET 10 put
/// sums of three rows on the stack, and float32 ran at 0.6 of its speed.
/// </remarks>
internal unsafe interface ITileLanes<TVector>
    where TVector : struct
{
    /// <summary>Lanes of 32 bits in a vector.</summary>
    static abstract int Count { get; }

    static abstract TVector Load(void* from);

    /// <summary>One lane in every place.</summary>
    static abstract TVector Broadcast(void* from);

    /// <summary>Of lanes that hold two bfloat16 each, the higher halves as float32.</summary>
    static abstract TVector High(TVector lanes);

    /// <summary>The lower halves.</summary>
    static abstract TVector Low(TVector lanes);

    /// <summary>sum + a · b.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector sum);

    static abstract void Store(TVector sum, void* to);
}

/// <summary>16 lanes: the registers of AVX-512.</summary>
internal readonly unsafe struct TileLanes16 : ITileLanes<Vector512<float>>
{
    public static int Count => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(void* from) => Vector512.Load((float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(void* from) => Vector512.Create(*(float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> High(Vector512<float> lanes) => (lanes.AsUInt32() & Vector512.Create(0xffff0000)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Low(Vector512<float> lanes) => (lanes.AsUInt32() << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> sum) => Vector512.MultiplyAddEstimate(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> sum, void* to) => sum.Store((float*)to);
}

/// <summary>8 lanes: the registers of AVX.</summary>
internal readonly unsafe struct TileLanes8 : ITileLanes<Vector256<float>>
{
    public static int Count => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(void* from) => Vector256.Load((float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(void* from) => Vector256.Create(*(float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> High(Vector256<float> lanes) => (lanes.AsUInt32() & Vector256.Create(0xffff0000)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Low(Vector256<float> lanes) => (lanes.AsUInt32() << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> sum) => Vector256.MultiplyAddEstimate(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> sum, void* to) => sum.Store((float*)to);
}

/// <summary>4 lanes: the registers of Arm and of SSE.</summary>
internal readonly unsafe struct TileLanes4 : ITileLanes<Vector128<float>>
{
    public static int Count => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(void* from) => Vector128.Load((float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Broadcast(void* from) => Vector128.Create(*(float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> High(Vector128<float> lanes) => (lanes.AsUInt32() & Vector128.Create(0xffff0000)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Low(Vector128<float> lanes) => (lanes.AsUInt32() << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> sum) => Vector128.MultiplyAddEstimate(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<float> sum, void* to) => sum.Store((float*)to);
}
