using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>
/// Arithmetic on one row of expert values. A row is padded to whole vectors, so that no loop has a tail and a row has the same bits
/// wherever it stands. Without 512-bit registers the runtime takes halves or quarters of a vector.
/// </summary>
/// <remarks>
/// Each half of a vector then costs a method to inline, of which a caller may have only so many. Loops with <see cref="Exponential"/> are never
/// inlined themselves, lest they use up what the caller has and multiply value by value.
/// </remarks>
internal static unsafe class RowMath
{
    /// <summary>Values per vector.</summary>
    public const int Lanes = 16;

    /// <summary>The number of each lane. (That of <see cref="Vector512{T}"/> is filled lane by lane at every use without 512-bit registers.)</summary>
    public static Vector512<int> Indices
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }

    /// <summary>The length of a row of <paramref name="count"/> values with its padding.</summary>
    public static int Padded(int count) => (count + Lanes - 1) & -Lanes;

    /// <summary>Copies <paramref name="count"/> values and fills the padding.</summary>
    public static void Load(float* source, float* row, int count, float padding)
    {
        new ReadOnlySpan<float>(source, count).CopyTo(new Span<float>(row, count));
        new Span<float>(row + count, Padded(count) - count).Fill(padding);
    }

    /// <summary>The largest value, and whether any is not a number (then the largest means nothing).</summary>
    public static float Max(float* row, int padded, out bool hasNaN) => Max(Maxima(row, padded, out hasNaN));

    /// <summary>The same of every lane.</summary>
    public static Vector512<float> Maxima(float* row, int padded, out bool hasNaN)
    {
        var max = Vector512.Create(float.NegativeInfinity);
        var unordered = Vector512<float>.Zero;
        for (int i = 0; i < padded; i += Lanes)
        {
            var value = Vector512.Load(row + i);
            unordered |= ~Vector512.Equals(value, value);
            max = Vector512.MaxNative(max, value);
        }

        hasNaN = unordered.AsInt32() != Vector512<int>.Zero;
        return max;
    }

    /// <summary>
    /// exp(row - max) into <paramref name="exponentials"/>, and their sum. Equal values give 1 even when they are infinite, so that a
    /// softmax of infinities is their limit: even over +inf, or over all when everything is -inf.
    /// </summary>
    public static float ExpSum(float* row, float* exponentials, int count, float max) => ExpSum(row, exponentials, count, max, 0, null, 0);

    /// <summary>
    /// The same, written only where <paramref name="exponentials"/> is not null. Marks the values that reach <paramref name="least"/>, a bit
    /// each and sixteen by sixteen, unless <paramref name="marks"/> is null; fetches what lies <paramref name="ahead"/> values after them.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static float ExpSum(float* row, float* exponentials, int count, float max, float least, ushort* marks, long ahead)
    {
        var (top, bound, sum) = (Vector512.Create(max), Vector512.Create(least), Vector512<float>.Zero);
        int i = 0;
        for (; i + 2 * Lanes <= count; i += 2 * Lanes)
        {
            var (first, second) = (Vector512.Load(row + i), Vector512.Load(row + i + Lanes));
            if (ahead != 0)
            {
                Prefetch(row + i + ahead);
                Prefetch(row + i + ahead + Lanes);
            }

            if (marks is not null)
            {
                *marks++ = Mark(first, bound);
                *marks++ = Mark(second, bound);
            }

            Exponential.Below(ref first, ref second, top);
            if (exponentials is not null)
            {
                first.Store(exponentials + i);
                second.Store(exponentials + i + Lanes);
            }

            sum += first;
            sum += second;
        }

        for (; i < count; i += Lanes)
        {
            var value = Vector512.Load(row + i);
            var exponential = Exponential.Below(value, top) & LanesBelow(count - i);
            if (marks is not null) *marks++ = (ushort)(Mark(value, bound) & LanesBelow(count - i).ExtractMostSignificantBits());
            if (exponentials is not null) exponential.Store(exponentials + i);
            sum += exponential;
        }

        return Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ushort Mark(Vector512<float> value, Vector512<float> least) => (ushort)Vector512.GreaterThanOrEqual(value, least).ExtractMostSignificantBits();

    /// <summary>Brings the line of an address nearer, which may lie outside of everything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(float* line)
    {
        if (Sse.IsSupported) Sse.Prefetch0(line);
    }

    /// <summary>The sum of the lanes, halves first: the order is part of what <see cref="TokenBlock"/> repeats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> lanes)
    {
        var half = lanes.GetLower() + lanes.GetUpper();
        var quarter = half.GetLower() + half.GetUpper();
        quarter += Vector128.Shuffle(quarter, Vector128.Create(2, 3, 0, 1));
        quarter += Vector128.Shuffle(quarter, Vector128.Create(1, 0, 3, 2));
        return quarter.ToScalar();
    }

    /// <summary>row · factor, in place.</summary>
    public static void Scale(float* row, int padded, float factor)
    {
        var scale = Vector512.Create(factor);
        for (int i = 0; i < padded; i += Lanes) (Vector512.Load(row + i) * scale).Store(row + i);
    }

    /// <summary>exp(row - max) · factor at some places into the same of <paramref name="scores"/>.</summary>
    public static void ScoreAt(int* places, int count, float* row, float max, float factor, float* scores)
    {
        var (top, scale) = (Vector512.Create(max), Vector512.Create(factor));
        for (; count > 0; count -= Lanes, places += Lanes)
        {
            Vector512<float> values = default;
            float* lanes = (float*)&values;
            int together = Math.Min(count, Lanes);
            for (int i = 0; i < together; i++) lanes[i] = row[places[i]];
            values = Exponential.Below(values, top) * scale;
            for (int i = 0; i < together; i++) scores[places[i]] = lanes[i];
        }
    }

    /// <summary>source · factor for rows without padding.</summary>
    public static void Scaled(float* source, float factor, float* destination, int count)
    {
        var scale = Vector512.Create(factor);
        int i = 0;
        for (; i + Lanes <= count; i += Lanes) (Vector512.Load(source + i) * scale).Store(destination + i);
        for (; i < count; i++) destination[i] = source[i] * factor;
    }

    /// <summary>Zeros, written into the caches: the runtime clears more than a few lines past them, and what comes next reads them back from memory.</summary>
    public static void Clear(float* values, int count)
    {
        int i = 0;
        for (; i + Lanes <= count; i += Lanes) Vector512<float>.Zero.Store(values + i);
        for (; i < count; i++) values[i] = 0;
    }

    /// <summary>1 / (1 + e^-z).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Sigmoid(float* row, float* scores, int padded)
    {
        for (int i = 0; i < padded; i += Lanes) Sigmoid(Vector512.Load(row + i)).Store(scores + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sigmoid(Vector512<float> z) => Vector512<float>.One / (Vector512<float>.One + Exponential.Of(-z));

    /// <summary>sqrt(log(1 + e^z)) of every value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void SqrtSoftplus(float* row, float* scores, int padded)
    {
        for (int i = 0; i < padded; i += Lanes) SqrtSoftplus(Vector512.Load(row + i)).Store(scores + i);
    }

    /// <summary>sqrt(log(1 + e^z)), exact to rounding also where e^z is small.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> SqrtSoftplus(Vector512<float> z)
    {
        var one = Vector512<float>.One;
        var u = Exponential.Of(-Vector512.Abs(z));
        var next = one + u;
        var log = Vector512.ConditionalSelect(Vector512.Equals(next, one), u, Vector512.Log(next) * u / (next - one));      // log(1 + u), Goldberg's form
        return Vector512.Sqrt(Vector512.MaxNative(z, Vector512<float>.Zero) + log);
    }

    /// <summary>destination += source.</summary>
    public static void Add(float* source, float* destination, int padded)
    {
        for (int i = 0; i < padded; i += Lanes) (Vector512.Load(destination + i) + Vector512.Load(source + i)).Store(destination + i);
    }

    /// <summary>destination += source · factor.</summary>
    public static void AddScaled(float* source, float factor, float* destination, int padded)
    {
        var scale = Vector512.Create(factor);
        for (int i = 0; i < padded; i += Lanes) (Vector512.Load(destination + i) + Vector512.Load(source + i) * scale).Store(destination + i);
    }

    /// <summary>a + b into <paramref name="sum"/>.</summary>
    public static void Add(float* a, float* b, float* sum, int padded)
    {
        for (int i = 0; i < padded; i += Lanes) (Vector512.Load(a + i) + Vector512.Load(b + i)).Store(sum + i);
    }

    /// <summary>a - b into <paramref name="difference"/>.</summary>
    public static void Subtract(float* a, float* b, float* difference, int padded)
    {
        for (int i = 0; i < padded; i += Lanes) (Vector512.Load(a + i) - Vector512.Load(b + i)).Store(difference + i);
    }

    /// <summary>Σ a · b.</summary>
    public static float Dot(float* a, float* b, int padded)
    {
        var sum = Vector512<float>.Zero;
        for (int i = 0; i < padded; i += Lanes) sum += Vector512.Load(a + i) * Vector512.Load(b + i);
        return Sum(sum);
    }

    /// <summary>Σ a over the first <paramref name="count"/> values.</summary>
    public static float Sum(float* a, int count)
    {
        var sum = Vector512<float>.Zero;
        int padded = Padded(count);
        for (int i = 0; i < padded; i += Lanes)
        {
            var value = Vector512.Load(a + i);
            sum += i + Lanes > count ? value & LanesBelow(count - i) : value;
        }

        return Sum(sum);
    }

    /// <summary>The entropy of p = exp(row - max) / sum in nats: log(sum) - Σ p · (row - max); what has no probability adds nothing.</summary>
    public static float Entropy(float* row, float* p, int padded, float max, float sum)
    {
        var (top, mean) = (Vector512.Create(max), Vector512<float>.Zero);
        for (int i = 0; i < padded; i += Lanes)
        {
            var (value, share) = (Vector512.Load(row + i), Vector512.Load(p + i));
            var counts = Vector512.GreaterThan(share, Vector512<float>.Zero) & ~Vector512.Equals(value, top);
            mean += share * Vector512.ConditionalSelect(counts, value - top, Vector512<float>.Zero);
        }

        return MathF.Log(sum) - Sum(mean);
    }

    /// <summary>Adds a softmax's backward, p · (g - Σ g·p + offset), to <paramref name="gradient"/>.</summary>
    public static void AddSoftmaxBackward(float* p, float* g, float offset, float* gradient, int padded)
    {
        var shift = Vector512.Create(offset - Dot(g, p, padded));
        for (int i = 0; i < padded; i += Lanes)
        {
            var result = Vector512.Load(gradient + i) + Vector512.Load(p + i) * (Vector512.Load(g + i) + shift);
            result.Store(gradient + i);
        }
    }

    /// <summary>Adds (g - mean) / divisor: the backward of s / (Σ s + epsilon), where mean = Σ g · s / divisor.</summary>
    public static void AddNormalizedBackward(float* g, float mean, float divisor, float* gradient, int padded)
    {
        var (shift, scale) = (Vector512.Create(mean), Vector512.Create(1 / divisor));
        for (int i = 0; i < padded; i += Lanes) (Vector512.Load(gradient + i) + (Vector512.Load(g + i) - shift) * scale).Store(gradient + i);
    }

    /// <summary>Adds ds · s · (1 - s).</summary>
    public static void AddSigmoidBackward(float* scores, float* ds, float* gradient, int padded)
    {
        for (int i = 0; i < padded; i += Lanes)
        {
            var s = Vector512.Load(scores + i);
            (Vector512.Load(gradient + i) + Vector512.Load(ds + i) * s * (Vector512<float>.One - s)).Store(gradient + i);
        }
    }

    /// <summary>Adds ds · sigmoid(z) / (2 s); nothing where the score underflowed to zero.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void AddSqrtSoftplusBackward(float* row, float* scores, float* ds, float* gradient, int padded)
    {
        for (int i = 0; i < padded; i += Lanes)
        {
            var s = Vector512.Load(scores + i);
            var slope = Sigmoid(Vector512.Load(row + i)) / (s + s);
            slope = Vector512.ConditionalSelect(Vector512.Equals(s, Vector512<float>.Zero), Vector512<float>.Zero, slope);
            (Vector512.Load(gradient + i) + Vector512.Load(ds + i) * slope).Store(gradient + i);
        }
    }

    /// <summary>The first <paramref name="count"/> of sixteen values; what the other lanes hold means nothing. Reads no further where it must not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadUpTo(float* values, int count, bool isWhole)
    {
        if (isWhole) return Vector512.Load(values);

        Vector512<float> result = default;
        new ReadOnlySpan<float>(values, count).CopyTo(new Span<float>(&result, Lanes));
        return result;
    }

    /// <summary>All bits set in the first <paramref name="count"/> lanes, none in the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LanesBelow(int count) => Vector512.LessThan(Indices, Vector512.Create(count)).AsSingle();

    /// <summary>The largest lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector512<float> value)
    {
        var half = Vector256.MaxNative(value.GetLower(), value.GetUpper());
        var quarter = Vector128.MaxNative(half.GetLower(), half.GetUpper());
        quarter = Vector128.MaxNative(quarter, Vector128.Shuffle(quarter, Vector128.Create(2, 3, 0, 1)));
        quarter = Vector128.MaxNative(quarter, Vector128.Shuffle(quarter, Vector128.Create(1, 0, 3, 2)));
        return quarter.ToScalar();
    }
}
