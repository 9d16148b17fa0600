using System.Numerics;
using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>The double normalisation of <see cref="Selection.Sinkhorn"/>, in double precision: exp(logits) has a wide range.</summary>
internal static class SinkhornBalance
{
    private const int MostIterations = 1000;        // it converges within tens; a cost that cannot must not hang the run
    private const double LargestExponent = 700;     // exp stays finite

    /// <summary>d1 · exp(logits) · d0 for the counted tokens.</summary>
    /// <param name="logits">The logits [T, E].</param>
    /// <param name="isCounted">Whether a token takes part.</param>
    /// <param name="experts">The number E.</param>
    /// <param name="options">Tolerance and epsilon.</param>
    /// <param name="choice">Receives the result [T, E]; rows that do not take part stay as they are.</param>
    public static void Normalize(ReadOnlySpan<float> logits, Func<int, bool> isCounted, int experts, Selection.Sinkhorn options, Span<float> choice)
    {
        int[] tokens = [.. Enumerable.Range(0, logits.Length / experts).Where(isCounted)];
        if (tokens.Length == 0) return;

        double[] costs = new double[tokens.Length * experts];
        for (int i = 0; i < costs.Length; i++) costs[i] = Math.Exp(Math.Min(logits[tokens[i / experts] * experts + i % experts], LargestExponent));

        double[] ofToken = new double[tokens.Length], ofExpert = new double[experts], sums = new double[experts];
        Array.Fill(ofExpert, 1);
        for (int iteration = 0; iteration < MostIterations; iteration++)
        {
            if (Iterate(costs, ofToken, ofExpert, sums, options.Epsilon) <= options.Tolerance) break;
        }

        for (int i = 0; i < costs.Length; i++) choice[tokens[i / experts] * experts + i % experts] = (float)(ofExpert[i % experts] * costs[i] * ofToken[i / experts]);
    }

    /// <summary>One round; returns the mean change of the experts' factors.</summary>
    private static double Iterate(double[] costs, double[] ofToken, double[] ofExpert, double[] sums, double epsilon)
    {
        Array.Clear(sums);
        for (int t = 0; t < ofToken.Length; t++)
        {
            var row = costs.AsSpan(t * ofExpert.Length, ofExpert.Length);
            ofToken[t] = 1.0 / ofToken.Length / (Dot(row, ofExpert) + epsilon);
            AddScaled(row, ofToken[t], sums);
        }

        double change = 0;
        for (int e = 0; e < ofExpert.Length; e++)
        {
            double next = 1.0 / ofExpert.Length / (sums[e] + epsilon);
            change += Math.Abs(next - ofExpert[e]);
            ofExpert[e] = next;
        }

        return change / ofExpert.Length;
    }

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ReadOnlySpan<Vector<double>> va = MemoryMarshal.Cast<double, Vector<double>>(a), vb = MemoryMarshal.Cast<double, Vector<double>>(b);
        var sum = Vector<double>.Zero;
        for (int i = 0; i < va.Length; i++) sum += va[i] * vb[i];

        double total = Vector.Sum(sum);
        for (int i = va.Length * Vector<double>.Count; i < a.Length; i++) total += a[i] * b[i];
        return total;
    }

    private static void AddScaled(ReadOnlySpan<double> row, double factor, Span<double> sums)
    {
        var vrow = MemoryMarshal.Cast<double, Vector<double>>(row);
        var vsums = MemoryMarshal.Cast<double, Vector<double>>(sums);
        for (int i = 0; i < vrow.Length; i++) vsums[i] += vrow[i] * factor;
        for (int i = vrow.Length * Vector<double>.Count; i < row.Length; i++) sums[i] += row[i] * factor;
    }
}
