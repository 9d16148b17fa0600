using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>The weighted sum of a token's rows, slot by slot.</summary>
internal static unsafe class RowSum
{
    /// <summary>to = Σ weight · row, over the slots that have a row.</summary>
    /// <param name="rows">The row of each slot; -1 for none.</param>
    /// <param name="weights">The weight of each slot.</param>
    /// <param name="isWeighted">Whether the weights count; else each is one.</param>
    /// <param name="values">The rows, of whole panels.</param>
    /// <param name="stride">Values from a row to the next.</param>
    /// <param name="to">Receives the sum.</param>
    /// <param name="size">The number of values.</param>
    public static void Of(ReadOnlySpan<int> rows, ReadOnlySpan<float> weights, bool isWeighted, float* values, int stride, float* to, int size)
    {
        int column = 0;
        for (; column + 64 <= size; column += 64)
        {
            Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
            for (int slot = 0; slot < rows.Length; slot++)
            {
                if (rows[slot] < 0) continue;

                float* row = values + (long)rows[slot] * stride + column;
                var weight = Vector512.Create(isWeighted ? weights[slot] : 1);
                s0 = Vector512.FusedMultiplyAdd(weight, Vector512.Load(row), s0);
                s1 = Vector512.FusedMultiplyAdd(weight, Vector512.Load(row + 16), s1);
                s2 = Vector512.FusedMultiplyAdd(weight, Vector512.Load(row + 32), s2);
                s3 = Vector512.FusedMultiplyAdd(weight, Vector512.Load(row + 48), s3);
            }

            s0.Store(to + column);
            s1.Store(to + column + 16);
            s2.Store(to + column + 32);
            s3.Store(to + column + 48);
        }

        for (; column < size; column += 16)
        {
            Vector512<float> sum = default;
            for (int slot = 0; slot < rows.Length; slot++)
            {
                if (rows[slot] < 0) continue;

                float* row = values + (long)rows[slot] * stride + column;      // whole panels: there is something to read
                sum = Vector512.FusedMultiplyAdd(Vector512.Create(isWeighted ? weights[slot] : 1), Vector512.Load(row), sum);
            }

            if (column + 16 <= size) sum.Store(to + column);
            else for (int i = 0; i < size - column; i++) to[column + i] = sum[i];
        }
    }

    /// <summary>Σ a · b.</summary>
    public static float Dot(float* a, float* b, int size)
    {
        var sum = Vector512<float>.Zero;
        int i = 0;
        for (; i + 16 <= size; i += 16) sum = Vector512.FusedMultiplyAdd(Vector512.Load(a + i), Vector512.Load(b + i), sum);

        float total = Vector512.Sum(sum);
        for (; i < size; i++) total = MathF.FusedMultiplyAdd(a[i], b[i], total);
        return total;
    }
}
