using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Writes gradients of weights: each once, past the caches, as nobody reads them soon.</summary>
internal static unsafe class StreamStore
{
    private const int Vector = 16;

    /// <summary>Writes the first <paramref name="columns"/> of a tile's 32 columns.</summary>
    public static void Rows(float* tile, int rows, float* to, nint stride, int columns)
    {
        bool streams = columns == TileKernel.Columns && ((nint)to | (stride * sizeof(float))) % (Vector * sizeof(float)) == 0;
        for (int row = 0; row < rows; row++, tile += TileKernel.Columns, to += stride)
        {
            if (streams)
            {
                Vector512.Load(tile).StoreAlignedNonTemporal(to);
                Vector512.Load(tile + Vector).StoreAlignedNonTemporal(to + Vector);
            }
            else
            {
                new ReadOnlySpan<float>(tile, columns).CopyTo(new Span<float>(to, columns));
            }
        }
    }

    /// <summary>Σ over rows of up to 16 columns, each times the row's weight.</summary>
    public static void ColumnSums(float* values, nint stride, int rows, float* weights, float* to, int columns)
    {
        var sum = Vector512<float>.Zero;
        for (int row = 0; row < rows; row++, values += stride)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.Create(weights is null ? 1 : weights[row]), Vector512.Load(values), sum);
        }

        if (columns == Vector) sum.Store(to);
        else for (int i = 0; i < columns; i++) to[i] = sum[i];
    }
}
