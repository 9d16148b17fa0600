using System.Runtime.InteropServices;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

/// <summary>A product for tiles: A [rows][depth] and B [depth][32] in lanes of 32 bits, every buffer against a guard page.</summary>
internal sealed unsafe class TileProblem : IDisposable
{
    public const int Columns = TileKernel.Columns;
    public const int MostRows = 14;

    private const int Lane = 4;

    private readonly GuardedMemory _a, _b, _c;

    public TileProblem(TileType type, int depth, int padding = 0)
    {
        (Type, Depth, Stride) = (type, depth, (depth + padding) * Lane);
        (A, B) = (new uint[MostRows * depth], new uint[depth * Columns]);
        _a = new GuardedMemory(MostRows * Stride + 1);
        _b = new GuardedMemory(depth * Columns * Lane + 1);
        _c = new GuardedMemory(MostRows * Columns * Lane);
    }

    public TileType Type { get; }

    public int Depth { get; }

    /// <summary>Bytes from a row of A to the next.</summary>
    public int Stride { get; }

    /// <summary>The lanes of A, [14][depth].</summary>
    public uint[] A { get; }

    /// <summary>The lanes of B, [depth][32].</summary>
    public uint[] B { get; }

    public static TileProblem Random(TileType type, int depth, int seed, int padding = 0)
    {
        var problem = new TileProblem(type, depth, padding);
        var random = new Random(seed);
        problem.Fill(() => random.NextSingle() * 2 - 1);
        return problem;
    }

    public void Fill(Func<float> next)
    {
        for (int i = 0; i < A.Length; i++) A[i] = Lanes.Draw(Type, next);
        for (int i = 0; i < B.Length; i++) B[i] = Lanes.Draw(Type, next);
    }

    /// <summary>The tile of the first rows, computed with all buffers against their last guard, or their first.</summary>
    public float[] Run(TileKernel kernel, int rows, TilePrefetch prefetch = TilePrefetch.None, bool isAtEnd = true, int firstRow = 0) => Run(kernel, rows, prefetch, isAtEnd, firstRow, wide: null);

    private float[] Run(TileKernel kernel, int rows, TilePrefetch prefetch, bool isAtEnd, int firstRow, float* wide)
    {
        int sizeA = Depth == 0 ? 0 : (rows - 1) * Stride + Depth * Lane, sizeB = Depth * Columns * Lane, sizeC = rows * Columns * Lane;
        byte* a = isAtEnd ? _a.Last(sizeA) : _a.First(sizeA), b = isAtEnd ? _b.Last(sizeB) : _b.First(sizeB), c = isAtEnd ? _c.Last(sizeC) : _c.First(sizeC);
        byte** places = stackalloc byte*[rows];
        for (int m = 0; m < rows; m++)
        {
            places[m] = a + m * Stride;
            A.AsSpan((firstRow + m) * Depth, Depth).CopyTo(new Span<uint>(places[m], Depth));
        }

        B.CopyTo(new Span<uint>(b, Depth * Columns));
        new Span<float>(c, rows * Columns).Fill(float.NaN); // C is written, never read
        if (wide is not null)
        {
            kernel.Widen(b, Depth, wide);
            b = (byte*)wide;
        }

        // where a prefetch looks does not matter: here, nobody may read
        var arguments = new TileArguments { Rows = places, B = b, C = (float*)c, Depth = Depth, Prefetch = (byte*)64, PrefetchStep = 64 };
        if (wide is null) kernel.Multiply(&arguments, rows, prefetch);
        else kernel.MultiplyWide(&arguments, rows, prefetch);

        return new Span<float>(c, rows * Columns).ToArray();
    }

    /// <summary>The same from B widened, all buffers against their last guard.</summary>
    public float[] RunWide(TileKernel kernel, int rows, TilePrefetch prefetch)
    {
        int size = 2 * Depth * Columns * sizeof(float);
        using var wide = new GuardedMemory(size + 1);
        return Run(kernel, rows, prefetch, isAtEnd: true, firstRow: 0, (float*)wide.Last(size));
    }

    /// <summary>The tiles of as many panels as so many rows take together, B against its last guard; each panel is B, begun a lane of depth later than the one before.</summary>
    public float[] RunPanels(TileKernel kernel, int rows)
    {
        int panels = kernel.PanelsOf(rows), sizeB = Depth * Columns * Lane, sizeC = panels * rows * Columns * Lane;
        byte* b = _b.Last(sizeB), c = _c.Last(sizeC);
        B.CopyTo(new Span<uint>(b, Depth * Columns));
        fixed (uint* a = A)
        {
            byte** places = stackalloc byte*[rows];
            new TileInputs((byte*)a, Depth * Lane, rows).Place(0, rows, places);
            var arguments = new TileArguments { Rows = places, B = b, C = (float*)c, Depth = Depth - panels + 1, PanelStep = Columns * Lane };
            kernel.MultiplyPanels(&arguments, rows);
        }

        return new Span<float>(c, panels * rows * Columns).ToArray();
    }

    /// <summary>What <see cref="RunPanels"/> gives, a panel at a time.</summary>
    public float[] RunPanelsAlone(TileKernel kernel, int rows)
    {
        int panels = kernel.PanelsOf(rows);
        return [.. Enumerable.Range(0, panels).SelectMany(panel =>
        {
            using var one = new TileProblem(Type, Depth - panels + 1);
            for (int m = 0; m < rows; m++) A.AsSpan(m * Depth, one.Depth).CopyTo(one.A.AsSpan(m * one.Depth));
            B.AsSpan(panel * Columns, one.Depth * Columns).CopyTo(one.B);
            return one.Run(kernel, rows);
        })];
    }

    /// <summary>C and Σ |A|·|B| of all rows, in double precision.</summary>
    public (double[] Sum, double[] Scale) Reference()
    {
        var (sum, scale) = (new double[MostRows * Columns], new double[MostRows * Columns]);
        for (int m = 0; m < MostRows; m++)
        {
            for (int k = 0; k < Depth; k++)
            {
                for (int n = 0; n < Columns; n++)
                {
                    foreach (var (a, b) in Lanes.Values(Type, A[m * Depth + k]).Zip(Lanes.Values(Type, B[k * Columns + n])))
                    {
                        sum[m * Columns + n] += (double)a * b;
                        scale[m * Columns + n] += Math.Abs((double)a * b);
                    }
                }
            }
        }

        return (sum, scale);
    }

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
        _c.Dispose();
    }
}

/// <summary>Lanes of 32 bits, and the values in them.</summary>
internal static class Lanes
{
    public static uint Draw(TileType type, Func<float> next) =>
        type == TileType.Float32 ? BitConverter.SingleToUInt32Bits(next()) : BFloat16Values.Round(next()) | (uint)BFloat16Values.Round(next()) << 16;

    public static float[] Values(TileType type, uint lane) =>
        type == TileType.Float32 ? [BitConverter.UInt32BitsToSingle(lane)] : [FromBFloat16((ushort)lane), FromBFloat16((ushort)(lane >> 16))];

    public static float FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    public static ushort[] ToBFloat16(ReadOnlySpan<float> values)
    {
        ushort[] bits = new ushort[values.Length];
        BFloat16Values.Round(values, bits);
        return bits;
    }

    /// <summary>Rounds values to those that bfloat16 has.</summary>
    public static void Narrow(float[] values)
    {
        for (int i = 0; i < values.Length; i++) values[i] = FromBFloat16(BFloat16Values.Round(values[i]));
    }

    public static uint[] Bits(float[] values) => MemoryMarshal.Cast<float, uint>(values).ToArray();
}
