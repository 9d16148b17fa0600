using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// Sixteen tokens side by side, one in each lane: no step looks across lanes, so that scores, top-k and weights of short rows cost a
/// fraction of what they cost row by row. The bits are those of <see cref="RowMath"/>: the sum of a softmax adds the same values in the
/// same order.
/// </summary>
internal sealed unsafe class TokenBlock
{
    /// <summary>Tokens per block.</summary>
    public const int Tokens = RowMath.Lanes;

    private const int LargestCount = 16, LargestK = 16;        // longer rows fill vectors by themselves

    [ThreadStatic]
    private static TokenBlock? _own;

    private readonly int _padded;
    private readonly Vector512<float>[] _scores;        // [padded experts]: a token per lane
    private readonly Vector512<int>[] _keys;

    private TokenBlock(int padded)
    {
        _padded = padded;
        _scores = GC.AllocateArray<Vector512<float>>(padded, pinned: true);
        _keys = GC.AllocateArray<Vector512<int>>(padded, pinned: true);
    }

    /// <summary>This thread's block for rows of at least <paramref name="padded"/> values.</summary>
    public static TokenBlock Of(int padded) => _own is { } own && own._padded >= padded ? own : _own = new TokenBlock(padded);

    /// <summary>Whether a router's tokens are routed in blocks: short rows, a plain or group-limited top-k, weights from scores.</summary>
    public static bool CanRoute(RouterOptions router) =>
        router is { ExpertCount: <= LargestCount, Select: Selection.TopK, Weights: WeightSource.Score, Renormalize: Renormalization.Never or Renormalization.Always, TopK: <= LargestK }
        && router.GroupLimit is null or { Summed: <= 2 };

    /// <summary>Routes sixteen rows of logits.</summary>
    /// <param name="logits">The first row.</param>
    /// <param name="router">The router.</param>
    /// <param name="bias">The correction bias [E], or null.</param>
    /// <param name="perExpert">The scale of every expert [E], or null.</param>
    /// <param name="kept">Receives the scores [16, E]; null to not keep them.</param>
    /// <param name="experts">Receives the experts [16, K].</param>
    /// <param name="weights">Receives the weights [16, K].</param>
    /// <returns>A bit for each token whose logits or weights are not numbers.</returns>
    public uint Route(float* logits, RouterOptions router, float* bias, float* perExpert, float* kept, int* experts, float* weights)
    {
        int count = router.ExpertCount, k = router.TopK;
        fixed (Vector512<float>* scores = _scores)
        fixed (Vector512<int>* keys = _keys)
        {
            ToColumns(logits, (float*)scores, count);
            var faulty = Score(router.Score, scores, count);
            if (kept is not null) ToRows((float*)scores, kept, count);

            Choose(scores, bias, keys, count);
            if (router.GroupLimit is { } limit) LimitGroups(keys, count, limit);
            Vector512<int>* best = stackalloc Vector512<int>[LargestK], index = stackalloc Vector512<int>[LargestK];
            Vector512<float>* raw = stackalloc Vector512<float>[LargestK];
            TopK(keys, count, k, best, index);

            // without a bias or groups, the best choices are the scores themselves
            if (bias is null && router.GroupLimit is null) for (int i = 0; i < k; i++) raw[i] = RowTopK.Value(best[i]);
            else for (int i = 0; i < k; i++) raw[i] = Gather((float*)scores, index[i]);
            return faulty | Weigh(raw, index, router, perExpert, experts, weights);
        }
    }

    // so few columns are moved value by value as fast as in squares
    private static void ToColumns(float* rows, float* columns, int count)
    {
        for (int token = 0; token < Tokens; token++, rows += count)
        {
            for (int e = 0; e < count; e++) columns[e * RowMath.Lanes + token] = rows[e];
        }
    }

    private static void ToRows(float* columns, float* rows, int count)
    {
        for (int token = 0; token < Tokens; token++, rows += count)
        {
            for (int e = 0; e < count; e++) rows[e] = columns[e * RowMath.Lanes + token];
        }
    }

    /// <summary>Logits to scores, in place; returns the tokens that have a NaN.</summary>
    private static uint Score(ScoreFunction function, Vector512<float>* scores, int count)
    {
        var unordered = Vector512<float>.Zero;
        for (int e = 0; e < count; e++) unordered |= ~Vector512.Equals(scores[e], scores[e]);

        switch (function)
        {
            case ScoreFunction.Softmax: Softmax(scores, count); break;
            case ScoreFunction.Sigmoid: for (int e = 0; e < count; e++) scores[e] = RowMath.Sigmoid(scores[e]); break;
            case ScoreFunction.SqrtSoftplus: for (int e = 0; e < count; e++) scores[e] = RowMath.SqrtSoftplus(scores[e]); break;
        }

        return (uint)unordered.ExtractMostSignificantBits();
    }

    private static void Softmax(Vector512<float>* scores, int count)
    {
        var max = scores[0];
        for (int e = 1; e < count; e++) max = Vector512.MaxNative(max, scores[e]);

        Vector512<float>* sums = stackalloc Vector512<float>[RowMath.Lanes];
        for (int lane = 0; lane < RowMath.Lanes; lane++) sums[lane] = Vector512<float>.Zero;
        for (int e = 0; e < count; e++)
        {
            scores[e] = RowMath.ExpBelow(scores[e], max);
            sums[e % RowMath.Lanes] += scores[e];
        }

        // the lanes of a row in the order of RowMath.Sum
        for (int half = RowMath.Lanes / 2; half > 0; half /= 2)
        {
            for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
        }

        var inverse = Vector512<float>.One / sums[0];
        for (int e = 0; e < count; e++) scores[e] *= inverse;
    }

    private static void Choose(Vector512<float>* scores, float* bias, Vector512<int>* keys, int count)
    {
        for (int e = 0; e < count; e++) keys[e] = RowTopK.Key(bias is null ? scores[e] : scores[e] + Vector512.Create(bias[e]));
    }

    private static void LimitGroups(Vector512<int>* keys, int count, GroupLimit limit)
    {
        int size = count / limit.Groups;
        Vector512<int>* ranks = stackalloc Vector512<int>[limit.Groups], best = stackalloc Vector512<int>[LargestK], kept = stackalloc Vector512<int>[LargestK];
        for (int g = 0; g < limit.Groups; g++) ranks[g] = Rank(keys + g * size, size, limit.Summed);
        TopK(ranks, limit.Groups, limit.Keep, best, kept);

        var none = Vector512.Create(RowTopK.Key(float.NegativeInfinity));
        for (int g = 0; g < limit.Groups; g++)
        {
            var isKept = Vector512<int>.Zero;
            for (int k = 0; k < limit.Keep; k++) isKept |= Vector512.Equals(kept[k], Vector512.Create(g));
            for (int e = g * size; e < (g + 1) * size; e++) keys[e] = Vector512.ConditionalSelect(isKept, keys[e], none);
        }
    }

    private static Vector512<int> Rank(Vector512<int>* keys, int size, int summed)
    {
        var (first, second) = (Vector512.Create(RowTopK.Taken), Vector512.Create(RowTopK.Taken));
        for (int e = 0; e < size; e++)
        {
            second = Vector512.Max(second, Vector512.Min(first, keys[e]));
            first = Vector512.Max(first, keys[e]);
        }

        return summed == 1 ? first : RowTopK.Key(RowTopK.Value(first) + RowTopK.Value(second));
    }

    /// <summary>The k largest of each lane, largest first, equal ones by the lower index: sorted lists that every value is inserted into.</summary>
    private static void TopK(Vector512<int>* keys, int count, int k, Vector512<int>* best, Vector512<int>* index)
    {
        for (int i = 0; i < k; i++) (best[i], index[i]) = (Vector512.Create(RowTopK.Taken), Vector512<int>.Zero);
        for (int e = 0; e < count; e++)
        {
            var (key, id) = (keys[e], Vector512.Create(e));
            var isLower = Vector512.GreaterThan(key, best[k - 1]);
            if (isLower == Vector512<int>.Zero) continue;

            for (int i = k - 1; i > 0; i--)
            {
                var isUpper = Vector512.GreaterThan(key, best[i - 1]);
                best[i] = Vector512.ConditionalSelect(isUpper, best[i - 1], Vector512.ConditionalSelect(isLower, key, best[i]));
                index[i] = Vector512.ConditionalSelect(isUpper, index[i - 1], Vector512.ConditionalSelect(isLower, id, index[i]));
                isLower = isUpper;
            }

            best[0] = Vector512.ConditionalSelect(isLower, key, best[0]);
            index[0] = Vector512.ConditionalSelect(isLower, id, index[0]);
        }
    }

    /// <summary>The weights as <see cref="ExpertWeights"/> finishes them; returns the tokens that have a NaN.</summary>
    private static uint Weigh(Vector512<float>* raw, Vector512<int>* index, RouterOptions router, float* perExpert, int* experts, float* weights)
    {
        int k = router.TopK;
        var divisor = Vector512<float>.One;
        if (router.Renormalize == Renormalization.Always)
        {
            divisor = Vector512<float>.Zero;
            for (int i = 0; i < k; i++) divisor += raw[i];
            divisor += Vector512.Create((float)router.RenormalizeEpsilon);
        }

        var (scale, unordered) = (Vector512.Create((float)router.Scale), Vector512<float>.Zero);
        for (int i = 0; i < k; i++)
        {
            var weight = raw[i] / divisor * scale;
            if (perExpert is not null) weight *= Lookup(perExpert, index[i]);
            unordered |= ~Vector512.Equals(weight, weight);
            Scatter(weight, weights + i, k);
            Scatter(index[i], experts + i, k);
        }

        return (uint)unordered.ExtractMostSignificantBits();
    }

    /// <summary>In each lane, the value of that lane in the column that the lane names.</summary>
    private static Vector512<float> Gather(float* columns, Vector512<int> index)
    {
        var offsets = index * RowMath.Lanes + Vector512<int>.Indices;
        return Lookup(columns, offsets);
    }

    private static Vector512<float> Lookup(float* values, Vector512<int> index)
    {
        Vector512<float> result;
        float* lanes = (float*)&result;
        int* from = (int*)&index;
        for (int lane = 0; lane < RowMath.Lanes; lane++) lanes[lane] = values[from[lane]];
        return result;
    }

    private static void Scatter<T>(Vector512<T> values, T* to, int stride)
        where T : unmanaged
    {
        T* lanes = (T*)Unsafe.AsPointer(ref values);
        for (int lane = 0; lane < RowMath.Lanes; lane++) to[lane * stride] = lanes[lane];
    }
}
