using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Writes what nobody reads soon past the caches: gradients of weights.</summary>
internal static unsafe class StreamStore
{
    /// <summary>Writes the first <paramref name="columns"/> of a tile's 32 columns.</summary>
    public static void Rows(float* tile, int rows, float* to, nint stride, int columns)
    {
        bool streams = columns == TileKernel.Columns && ((nint)to | (stride * sizeof(float))) % CacheLines.Size == 0;
        if (!streams) for (int row = 0; row < rows; row++, tile += TileKernel.Columns, to += stride) new ReadOnlySpan<float>(tile, columns).CopyTo(new Span<float>(to, columns));
        else if (Vector512.IsHardwareAccelerated) Stream<Lanes16>(tile, rows, to, stride);
        else if (Vector256.IsHardwareAccelerated) Stream<Lanes8>(tile, rows, to, stride);
        else Stream<Lanes4>(tile, rows, to, stride);
    }

    /// <summary>The same, rounded to bfloat16.</summary>
    public static void Rounded(float* tile, int rows, ushort* to, nint stride, int columns)
    {
        bool streams = columns == TileKernel.Columns && ((nint)to | (stride * sizeof(ushort))) % CacheLines.Size == 0;
        if (!streams) for (int row = 0; row < rows; row++, tile += TileKernel.Columns, to += stride) BFloat16Values.Round(new(tile, columns), new(to, columns));
        else if (Vector512.IsHardwareAccelerated) Stream<Lanes16>(tile, rows, to, stride);
        else if (Vector256.IsHardwareAccelerated) Stream<Lanes8>(tile, rows, to, stride);
        else Stream<Lanes4>(tile, rows, to, stride);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Stream<TLanes>(float* tile, int rows, ushort* to, nint stride)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        for (int row = 0; row < rows; row++, tile += TileKernel.Columns, to += stride)
        {
            for (int i = 0; i < TileKernel.Columns; i += TLanes.Count) TLanes.Load(tile + i).StreamBFloat16(to + i);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Stream<TLanes>(float* tile, int rows, float* to, nint stride)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        for (int row = 0; row < rows; row++, tile += TileKernel.Columns, to += stride)
        {
            for (int i = 0; i < TileKernel.Columns; i += TLanes.Count) TLanes.Load(tile + i).Stream(to + i);
        }
    }
}
