using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>The rows of tiles, 32 values each.</summary>
internal static unsafe class TileRows
{
    private const int Columns = TileKernel.Columns;

    /// <summary>Copies the rows of a tile to those of a matrix, <paramref name="stride"/> values apart.</summary>
    public static void Store(float* tile, int rows, float* to, nint stride)
    {
        for (int row = 0; row < rows; row++, tile += Columns, to += stride) Copy(tile, to);
    }

    /// <summary>The same, rounded to bfloat16.</summary>
    public static void StoreRounded(float* tile, int rows, ushort* to, nint stride)
    {
        if (Vector512.IsHardwareAccelerated) StoreRounded<Lanes16>(tile, rows, to, stride);
        else if (Vector256.IsHardwareAccelerated) StoreRounded<Lanes8>(tile, rows, to, stride);
        else StoreRounded<Lanes4>(tile, rows, to, stride);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreRounded<TLanes>(float* tile, int rows, ushort* to, nint stride)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        for (int row = 0; row < rows; row++, tile += Columns, to += stride)
        {
            for (int i = 0; i < Columns; i += TLanes.Count) TLanes.Load(tile + i).StoreBFloat16(to + i);
        }
    }

    /// <summary>Copies one row; of a size that is known here, so that it takes a few vectors and no call.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(float* from, float* to) => Unsafe.CopyBlockUnaligned(to, from, Columns * sizeof(float));

    /// <summary>Adds 32 biases to every row of a tile.</summary>
    public static void AddBias(float* tile, int rows, float* bias)
    {
        if (Vector512.IsHardwareAccelerated) AddBias<Lanes16>(tile, rows, bias);
        else if (Vector256.IsHardwareAccelerated) AddBias<Lanes8>(tile, rows, bias);
        else AddBias<Lanes4>(tile, rows, bias);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AddBias<TLanes>(float* tile, int rows, float* bias)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        for (int row = 0; row < rows; row++, tile += Columns)
        {
            for (int i = 0; i < Columns; i += TLanes.Count) (TLanes.Load(tile + i) + TLanes.Load(bias + i)).Store(tile + i);
        }
    }
}
