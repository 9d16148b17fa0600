using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>
/// Root-mean-square normalisation of rows, y = x · r · w with r = 1 / sqrt(mean(x²) + epsilon), forward and backward in one pass over memory
/// each. libtorch composes both from about ten passes; at [4096, 256] on two Zen 4 cores, forward takes 1.3 times and both together 2.0 times as long that way.
/// </summary>
/// <remarks>
/// Float32 throughout. Rows are dealt in blocks of a fixed size, and sums over rows run block by block, so the bits do not depend on the
/// number of threads. With g = dy · w: dx = r · (g - x · r² · mean(g · x)), and dw = Σ over rows of dy · x · r.
/// </remarks>
internal static unsafe class RmsNormKernel
{
    private const int BlockRows = 64;

    /// <summary>Normalises <paramref name="rows"/> rows of <paramref name="size"/> values; keeps each row's r in <paramref name="inverse"/>.</summary>
    public static void Forward(float* x, float* weight, float* y, float* inverse, int rows, int size, float epsilon)
    {
        ForEachBlock(rows, (first, last, _) =>
        {
            for (int row = first; row < last; row++)
            {
                inverse[row] = Row(new(x + (long)row * size, size), new(weight, size), new(y + (long)row * size, size), epsilon);
            }
        });
    }

    /// <summary>Normalises one row; returns its r.</summary>
    public static float Row(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, Span<float> y, float epsilon)
    {
        float r = 1 / MathF.Sqrt(Dot(x, x) / x.Length + epsilon);
        Scale(x, weight, r, y);
        return r;
    }

    /// <summary>The gradients of x and of the weight (which is overwritten) from that of y.</summary>
    public static void Backward(float* x, float* weight, float* inverse, float* dy, float* dx, float* dw, int rows, int size)
    {
        float[] partial = new float[(rows + BlockRows - 1) / BlockRows * size];
        ForEachBlock(rows, (first, last, block) =>
        {
            var sums = partial.AsSpan(block * size, size);
            for (int row = first; row < last; row++)
            {
                long start = (long)row * size;
                BackwardRow(new(x + start, size), new(weight, size), inverse[row], new(dy + start, size), new(dx + start, size), sums);
            }
        });

        var total = new Span<float>(dw, size);
        total.Clear();
        for (int start = 0; start < partial.Length; start += size) Add(partial.AsSpan(start, size), total);
    }

    private static void BackwardRow(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float r, ReadOnlySpan<float> dy, Span<float> dx, Span<float> dw)
    {
        float mean = Dot(x, weight, dy) / x.Length, slope = r * r * r * mean;
        ReadOnlySpan<Vector<float>> vx = Vectors(x), vw = Vectors(weight), vdy = Vectors(dy);
        Span<Vector<float>> vdx = Vectors(dx), vdw = Vectors(dw);
        for (int i = 0; i < vx.Length; i++)
        {
            vdw[i] += vdy[i] * vx[i] * r;
            vdx[i] = vdy[i] * vw[i] * r - vx[i] * slope;
        }

        for (int i = vx.Length * Vector<float>.Count; i < x.Length; i++)
        {
            dw[i] += dy[i] * x[i] * r;
            dx[i] = dy[i] * weight[i] * r - x[i] * slope;
        }
    }

    private static void Scale(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float r, Span<float> y)
    {
        ReadOnlySpan<Vector<float>> vx = Vectors(x), vw = Vectors(weight);
        var vy = Vectors(y);
        for (int i = 0; i < vx.Length; i++) vy[i] = vx[i] * r * vw[i];
        for (int i = vx.Length * Vector<float>.Count; i < x.Length; i++) y[i] = x[i] * r * weight[i];
    }

    private static void Add(ReadOnlySpan<float> source, Span<float> destination)
    {
        for (int i = 0; i < source.Length; i++) destination[i] += source[i];
    }

    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ReadOnlySpan<Vector<float>> va = Vectors(a), vb = Vectors(b);
        var sum = Vector<float>.Zero;
        for (int i = 0; i < va.Length; i++) sum += va[i] * vb[i];

        float total = Vector.Sum(sum);
        for (int i = va.Length * Vector<float>.Count; i < a.Length; i++) total += a[i] * b[i];
        return total;
    }

    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b, ReadOnlySpan<float> c)
    {
        ReadOnlySpan<Vector<float>> va = Vectors(a), vb = Vectors(b), vc = Vectors(c);
        var sum = Vector<float>.Zero;
        for (int i = 0; i < va.Length; i++) sum += va[i] * vb[i] * vc[i];

        float total = Vector.Sum(sum);
        for (int i = va.Length * Vector<float>.Count; i < a.Length; i++) total += a[i] * b[i] * c[i];
        return total;
    }

    private static ReadOnlySpan<Vector<float>> Vectors(ReadOnlySpan<float> values) => MemoryMarshal.Cast<float, Vector<float>>(values);

    private static Span<Vector<float>> Vectors(Span<float> values) => MemoryMarshal.Cast<float, Vector<float>>(values);

    /// <summary>Runs (first row, last row, block) over all blocks, on the threads of the pool.</summary>
    private static void ForEachBlock(int rows, Action<int, int, int> body)
    {
        Debug.Assert(rows >= 0, "a number of rows");
        int blocks = (rows + BlockRows - 1) / BlockRows;
        WorkerPool.Shared.ForEach(blocks, block => body(block * BlockRows, Math.Min(rows, (block + 1) * BlockRows), block));
    }
}
