using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// What <see cref="ThreeRowTile{TVector, TLanes}"/> needs to know of a vector: its width, and where it finds two depths in a row, which are
/// a turn of its loop.
/// </summary>
/// <remarks>
/// Over plain vectors, not over the structures of <see cref="IFloatLanes{TSelf}"/>, which would save the three widths: with those the compiler of .NET 10 put
/// sums of three rows on the stack, and float32 ran at 0.6 of its speed.
/// </remarks>
internal unsafe interface ITileLanes<TVector>
    where TVector : struct
{
    /// <summary>Lanes of 32 bits in a vector.</summary>
    static abstract int Count { get; }

    /// <summary>Whether both depths of A are in one lane; else in two.</summary>
    static abstract bool PairsA { get; }

    /// <summary>The same of B.</summary>
    static abstract bool PairsB { get; }

    /// <summary>The first depth of B, from its lanes.</summary>
    static abstract TVector Load(byte* b);

    /// <summary>The second depth of B.</summary>
    static abstract TVector LoadNext(byte* b);

    /// <summary>The first depth of A in every place, from its lane.</summary>
    static abstract TVector Broadcast(byte* a);

    /// <summary>The second depth of A in every place.</summary>
    static abstract TVector BroadcastNext(byte* a);

    static abstract TVector LoadSums(float* c);

    /// <summary>sum + a · b.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector sum);

    static abstract void Store(TVector sum, float* c);
}

/// <summary>float32, a depth in each lane; it can also take lanes for two bfloat16.</summary>
internal interface IFloat32TileLanes<TVector> : ITileLanes<TVector>
    where TVector : struct
{
    /// <summary>The float32 of the higher halves.</summary>
    static abstract TVector High(TVector lanes);

    /// <summary>The float32 of the lower halves.</summary>
    static abstract TVector Low(TVector lanes);
}

/// <summary>A and B are bfloat16, two in a lane, of which the higher half is the first depth of a turn.</summary>
internal readonly unsafe struct BFloat16TileLanes<TVector, TLanes> : ITileLanes<TVector>
    where TVector : struct
    where TLanes : struct, IFloat32TileLanes<TVector>
{
    public static int Count => TLanes.Count;

    public static bool PairsA => true;

    public static bool PairsB => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load(byte* b) => TLanes.High(TLanes.Load(b));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LoadNext(byte* b) => TLanes.Low(TLanes.Load(b));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Broadcast(byte* a) => TLanes.High(TLanes.Broadcast(a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector BroadcastNext(byte* a) => TLanes.Low(TLanes.Broadcast(a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LoadSums(float* c) => TLanes.LoadSums(c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector MultiplyAdd(TVector a, TVector b, TVector sum) => TLanes.MultiplyAdd(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(TVector sum, float* c) => TLanes.Store(sum, c);
}

/// <summary>A is bfloat16, two in a lane; B was widened to float32, every lane to two, the higher half first.</summary>
internal readonly unsafe struct WideTileLanes<TVector, TLanes> : ITileLanes<TVector>
    where TVector : struct
    where TLanes : struct, IFloat32TileLanes<TVector>
{
    public static int Count => TLanes.Count;

    public static bool PairsA => true;

    public static bool PairsB => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load(byte* b) => TLanes.Load(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LoadNext(byte* b) => TLanes.Load(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Broadcast(byte* a) => TLanes.High(TLanes.Broadcast(a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector BroadcastNext(byte* a) => TLanes.Low(TLanes.Broadcast(a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LoadSums(float* c) => TLanes.LoadSums(c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector MultiplyAdd(TVector a, TVector b, TVector sum) => TLanes.MultiplyAdd(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(TVector sum, float* c) => TLanes.Store(sum, c);
}

/// <summary>16 lanes: the registers of AVX-512.</summary>
internal readonly unsafe struct Float32TileLanes16 : IFloat32TileLanes<Vector512<float>>
{
    public static int Count => 16;

    public static bool PairsA => false;

    public static bool PairsB => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* b) => Vector512.Load((float*)b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadNext(byte* b) => Load(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(byte* a) => Vector512.Create(*(float*)a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> BroadcastNext(byte* a) => Broadcast(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> High(Vector512<float> lanes) => (lanes.AsUInt32() & Vector512.Create(0xffff0000)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Low(Vector512<float> lanes) => (lanes.AsUInt32() << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadSums(float* c) => Vector512.Load(c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> sum) => Vector512.MultiplyAddEstimate(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> sum, float* c) => sum.Store(c);
}

/// <summary>8 lanes: the registers of AVX.</summary>
internal readonly unsafe struct Float32TileLanes8 : IFloat32TileLanes<Vector256<float>>
{
    public static int Count => 8;

    public static bool PairsA => false;

    public static bool PairsB => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(byte* b) => Vector256.Load((float*)b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadNext(byte* b) => Load(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(byte* a) => Vector256.Create(*(float*)a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> BroadcastNext(byte* a) => Broadcast(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> High(Vector256<float> lanes) => (lanes.AsUInt32() & Vector256.Create(0xffff0000)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Low(Vector256<float> lanes) => (lanes.AsUInt32() << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadSums(float* c) => Vector256.Load(c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> sum) => Vector256.MultiplyAddEstimate(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> sum, float* c) => sum.Store(c);
}

/// <summary>4 lanes: the registers of Arm and of SSE.</summary>
internal readonly unsafe struct Float32TileLanes4 : IFloat32TileLanes<Vector128<float>>
{
    public static int Count => 4;

    public static bool PairsA => false;

    public static bool PairsB => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(byte* b) => Vector128.Load((float*)b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadNext(byte* b) => Load(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Broadcast(byte* a) => Vector128.Create(*(float*)a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> BroadcastNext(byte* a) => Broadcast(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> High(Vector128<float> lanes) => (lanes.AsUInt32() & Vector128.Create(0xffff0000)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Low(Vector128<float> lanes) => (lanes.AsUInt32() << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadSums(float* c) => Vector128.Load(c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> sum) => Vector128.MultiplyAddEstimate(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<float> sum, float* c) => sum.Store(c);
}
