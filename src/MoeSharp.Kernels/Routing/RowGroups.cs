using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Takes the experts outside a token's best groups out of its choice.</summary>
internal static unsafe class RowGroups
{
    /// <summary>
    /// Sets the keys of lost groups to that of minus infinity. Zero would not do: a biased score may be negative, and an expert of a
    /// lost group would then beat one of a kept group. Equal groups: the first one is kept.
    /// </summary>
    /// <param name="keys">The keys of a row; see <see cref="RowTopK"/>.</param>
    /// <param name="experts">The number of experts; the groups divide it.</param>
    /// <param name="limit">The groups.</param>
    /// <param name="ranks">Scratch for one key per group, padded.</param>
    /// <param name="kept">Scratch for the kept groups.</param>
    public static void Apply(int* keys, int experts, GroupLimit limit, int* ranks, int* kept)
    {
        int size = experts / limit.Groups;
        for (int g = 0; g < limit.Groups; g++) ranks[g] = Rank(keys + g * size, size, limit.Summed);
        for (int g = limit.Groups; g < RowMath.Padded(limit.Groups); g++) ranks[g] = RowTopK.Taken;
        RowTopK.Select(ranks, RowMath.Padded(limit.Groups), limit.Keep, kept);

        int none = RowTopK.Key(float.NegativeInfinity);
        for (int g = 0; g < limit.Groups; g++)
        {
            if (!new ReadOnlySpan<int>(kept, limit.Keep).Contains(g)) new Span<int>(keys + g * size, size).Fill(none);
        }
    }

    private static int Rank(int* keys, int size, int summed) => summed switch
    {
        1 => Max(keys, size),
        2 => size % RowMath.Lanes == 0 ? TopTwoOfVectors(keys, size) : TopTwo(keys, size),
        _ => TopSum(keys, size, summed),
    };

    private static int Max(int* keys, int size)
    {
        int max = keys[0];
        for (int i = 1; i < size; i++) max = Math.Max(max, keys[i]);
        return max;
    }

    // the best two of every lane, then of halves, quarters, pairs of lanes
    private static int TopTwoOfVectors(int* keys, int size)
    {
        var (first, second) = (Vector512.Load(keys), Vector512.Create(RowTopK.Taken));
        for (int i = RowMath.Lanes; i < size; i += RowMath.Lanes)
        {
            var key = Vector512.Load(keys + i);
            second = Vector512.Max(second, Vector512.Min(first, key));
            first = Vector512.Max(first, key);
        }

        var (half1, half2) = Merge(first.GetLower(), second.GetLower(), first.GetUpper(), second.GetUpper());
        var (best, next) = Merge(half1.GetLower(), half2.GetLower(), half1.GetUpper(), half2.GetUpper());
        (best, next) = Merge(best, next, Vector128.Shuffle(best, Vector128.Create(2, 3, 0, 1)), Vector128.Shuffle(next, Vector128.Create(2, 3, 0, 1)));
        (best, next) = Merge(best, next, Vector128.Shuffle(best, Vector128.Create(1, 0, 3, 2)), Vector128.Shuffle(next, Vector128.Create(1, 0, 3, 2)));
        return RowTopK.Key(RowTopK.Value(best.ToScalar()) + RowTopK.Value(next.ToScalar()));
    }

    private static (Vector256<int> First, Vector256<int> Second) Merge(Vector256<int> first, Vector256<int> second, Vector256<int> otherFirst, Vector256<int> otherSecond) =>
        (Vector256.Max(first, otherFirst), Vector256.Max(Vector256.Min(first, otherFirst), Vector256.Max(second, otherSecond)));

    private static (Vector128<int> First, Vector128<int> Second) Merge(Vector128<int> first, Vector128<int> second, Vector128<int> otherFirst, Vector128<int> otherSecond) =>
        (Vector128.Max(first, otherFirst), Vector128.Max(Vector128.Min(first, otherFirst), Vector128.Max(second, otherSecond)));

    // two chains of two: their comparisons run side by side
    private static int TopTwo(int* keys, int size)
    {
        var (a1, a2, b1, b2) = (RowTopK.Taken, RowTopK.Taken, RowTopK.Taken, RowTopK.Taken);
        int i = 0;
        for (; i + 1 < size; i += 2)
        {
            a2 = Math.Max(a2, Math.Min(a1, keys[i]));
            a1 = Math.Max(a1, keys[i]);
            b2 = Math.Max(b2, Math.Min(b1, keys[i + 1]));
            b1 = Math.Max(b1, keys[i + 1]);
        }

        if (i < size)
        {
            a2 = Math.Max(a2, Math.Min(a1, keys[i]));
            a1 = Math.Max(a1, keys[i]);
        }

        int first = Math.Max(a1, b1), second = Math.Max(Math.Min(a1, b1), Math.Max(a2, b2));
        return RowTopK.Key(RowTopK.Value(first) + RowTopK.Value(second));
    }

    private static int TopSum(int* keys, int size, int count)
    {
        Span<int> best = stackalloc int[Math.Min(count, 64)];
        if (count > best.Length) best = new int[count];
        best.Fill(RowTopK.Taken);
        for (int i = 0; i < size; i++) Insert(best, keys[i]);

        float sum = 0;
        foreach (int key in best) sum += RowTopK.Value(key);
        return RowTopK.Key(sum);
    }

    private static void Insert(Span<int> descending, int key)
    {
        if (key <= descending[^1]) return;

        int place = descending.Length - 1;
        for (; place > 0 && descending[place - 1] < key; place--) descending[place] = descending[place - 1];
        descending[place] = key;
    }
}
