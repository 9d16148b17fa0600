using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>Where <see cref="ThreeRowTile{TVector, TLanes, TReads}"/> finds two depths in a row, which are a turn of its loop.</summary>
internal unsafe interface ITileReads<TVector>
    where TVector : struct
{
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
}

/// <summary>A and B are float32, a depth in each lane.</summary>
internal readonly unsafe struct Float32Reads<TVector, TLanes> : ITileReads<TVector>
    where TVector : struct
    where TLanes : struct, ITileLanes<TVector>
{
    public static bool PairsA => false;

    public static bool PairsB => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load(byte* b) => TLanes.Load(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LoadNext(byte* b) => TLanes.Load(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Broadcast(byte* a) => TLanes.Broadcast(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector BroadcastNext(byte* a) => TLanes.Broadcast(a);
}

/// <summary>A and B are bfloat16, two in a lane, of which the higher half is the first depth of a turn.</summary>
internal readonly unsafe struct BFloat16Reads<TVector, TLanes> : ITileReads<TVector>
    where TVector : struct
    where TLanes : struct, ITileLanes<TVector>
{
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
}

/// <summary>A is bfloat16, two in a lane; B was widened to float32, every lane to two, the higher half first.</summary>
internal readonly unsafe struct WideReads<TVector, TLanes> : ITileReads<TVector>
    where TVector : struct
    where TLanes : struct, ITileLanes<TVector>
{
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
}
