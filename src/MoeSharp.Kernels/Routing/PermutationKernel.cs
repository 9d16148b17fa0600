using System.Numerics;
using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>The weighted sum of each token's rows, and its gradients, in one pass over memory each.</summary>
/// <remarks>Float32. The rows of a token are added in ascending order, whatever thread does it.</remarks>
internal static unsafe class PermutationKernel
{
    /// <summary>output[t] = Σ over the pairs of t that have a row of weight · row.</summary>
    /// <param name="rows">The rows [R, D].</param>
    /// <param name="places">The row of each pair [T, K]; -1 for none.</param>
    /// <param name="weights">The weight of each pair [T, K].</param>
    /// <param name="output">Receives [T, D].</param>
    /// <param name="tokens">The number T.</param>
    /// <param name="width">The number K.</param>
    /// <param name="size">The number D.</param>
    public static void Combine(float* rows, int* places, float* weights, float* output, int tokens, int width, int size) => ForEachToken(tokens, width * size, token =>
    {
        var sum = new Span<float>(output + (long)token * size, size);
        sum.Clear();
        Span<int> pairs = width <= 64 ? stackalloc int[width] : new int[width];
        foreach (int pair in Ascending(places, token, pairs)) AddScaled(new(rows + (long)places[pair] * size, size), weights[pair], sum);
    });

    /// <summary>The gradients of rows (weight · upstream) and of weights (row · upstream); weights without a row have none.</summary>
    public static void Backward(float* rows, int* places, float* weights, float* upstream, float* dRows, float* dWeights, int tokens, int width, int size) => ForEachToken(tokens, width * size, token =>
    {
        var dy = new ReadOnlySpan<float>(upstream + (long)token * size, size);
        for (int pair = token * width; pair < (token + 1) * width; pair++)
        {
            dWeights[pair] = 0;
            if (places[pair] < 0) continue;

            long start = (long)places[pair] * size;
            dWeights[pair] = Dot(new(rows + start, size), dy);
            Scale(dy, weights[pair], new(dRows + start, size));
        }
    });

    private static Span<int> Ascending(int* places, int token, Span<int> pairs)
    {
        int count = 0;
        for (int pair = token * pairs.Length; pair < (token + 1) * pairs.Length; pair++)
        {
            if (places[pair] < 0) continue;

            int at = count++;
            for (; at > 0 && places[pairs[at - 1]] > places[pair]; at--) pairs[at] = pairs[at - 1];
            pairs[at] = pair;
        }

        return pairs[..count];
    }

    private static void ForEachToken(int tokens, int valuesPerToken, Action<int> body)
    {
        var chunks = new TokenChunks(1, tokens);
        chunks.ForEach(valuesPerToken, chunk =>
        {
            var (first, end) = chunks.Tokens(chunk);
            for (int token = first; token < end; token++) body(token);
        });
    }

    private static void AddScaled(ReadOnlySpan<float> row, float weight, Span<float> sum)
    {
        ReadOnlySpan<Vector<float>> from = MemoryMarshal.Cast<float, Vector<float>>(row);
        var to = MemoryMarshal.Cast<float, Vector<float>>(sum);
        for (int i = 0; i < from.Length; i++) to[i] += from[i] * weight;
        for (int i = from.Length * Vector<float>.Count; i < row.Length; i++) sum[i] += row[i] * weight;
    }

    private static void Scale(ReadOnlySpan<float> row, float weight, Span<float> result)
    {
        ReadOnlySpan<Vector<float>> from = MemoryMarshal.Cast<float, Vector<float>>(row);
        var to = MemoryMarshal.Cast<float, Vector<float>>(result);
        for (int i = 0; i < from.Length; i++) to[i] = from[i] * weight;
        for (int i = from.Length * Vector<float>.Count; i < row.Length; i++) result[i] = row[i] * weight;
    }

    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ReadOnlySpan<Vector<float>> va = MemoryMarshal.Cast<float, Vector<float>>(a), vb = MemoryMarshal.Cast<float, Vector<float>>(b);
        var sum = Vector<float>.Zero;
        for (int i = 0; i < va.Length; i++) sum += va[i] * vb[i];

        float total = Vector.Sum(sum);
        for (int i = va.Length * Vector<float>.Count; i < a.Length; i++) total += a[i] * b[i];
        return total;
    }
}
