using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// Sixteen tokens side by side, one in each lane: no step looks across lanes, so that scores, top-k and weights cost a fraction of what
/// they cost row by row. The bits are those of <see cref="RowMath"/>: the sum of a softmax adds the same values in the same order.
/// </summary>
/// <remarks>The few tokens whose experts <see cref="TopEight"/> cannot tell apart are left to their rows.</remarks>
internal sealed unsafe class TokenBlock
{
    /// <summary>Tokens per block.</summary>
    public const int Tokens = RowMath.Lanes;

    private const int LargestCount = 128, LargestK = TopEight.Count;      // more columns do not stay in the nearest cache
    private const uint All = (1u << Tokens) - 1;
    private const int Vectors = 2 * LargestCount + RowMath.Lanes + 3 * (LargestK + 1);

    [ThreadStatic]
    private static TokenBlock? _own;

    private readonly float[] _memory;
    private readonly Vector512<float>* _scores, _sums, _raw;        // [experts], [16], [K]: a token per lane
    private readonly Vector512<int>* _keys, _best, _index;          // [experts], [K + 1], [K]

    private TokenBlock()
    {
        // whole cache lines: a vector across two costs twice as much
        _memory = GC.AllocateArray<float>((Vectors + 1) * RowMath.Lanes, pinned: true);
        nint start = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_memory));
        _scores = (Vector512<float>*)((start + sizeof(Vector512<float>) - 1) & -sizeof(Vector512<float>));
        _sums = _scores + LargestCount;
        _raw = _sums + RowMath.Lanes;
        _keys = (Vector512<int>*)(_raw + LargestK);
        _best = _keys + LargestCount;
        _index = _best + LargestK + 1;
    }

    /// <summary>This thread's block.</summary>
    public static TokenBlock Own => _own ??= new TokenBlock();

    /// <summary>Whether a router's tokens are routed in blocks: not too many experts, a plain top-k, weights from scores.</summary>
    public static bool CanRoute(RouterOptions router) => router is
    {
        ExpertCount: <= LargestCount, TopK: <= LargestK, Select: Selection.TopK, GroupLimit: null,
        Weights: WeightSource.Score, Renormalize: Renormalization.Never or Renormalization.Always,
    };

    /// <summary>Routes sixteen rows of logits.</summary>
    /// <param name="logits">The first row.</param>
    /// <param name="router">The router.</param>
    /// <param name="bias">The correction bias [E], or null.</param>
    /// <param name="perExpert">The scale of every expert [E], or null.</param>
    /// <param name="kept">Receives the scores, those of all experts [16, E] or of the selected ones [16, K]; null to not keep them.</param>
    /// <param name="keepsRows">Whether those of all experts are kept.</param>
    /// <param name="experts">Receives the experts [16, K].</param>
    /// <param name="weights">Receives the weights [16, K].</param>
    /// <returns>A bit for each token that is left to its row: its experts are not certain, or something is not a number.</returns>
    public uint Route(float* logits, RouterOptions router, float* bias, float* perExpert, float* kept, bool keepsRows, int* experts, float* weights)
    {
        int count = router.ExpertCount, k = router.TopK;
        LaneTranspose.ToColumns(logits, count, (float*)_scores);
        var max = Max(_scores, count, out bool hasNaN);
        if (hasNaN) return All;

        Score(router.Score, count, max, next: logits + Tokens * count);
        if (kept is not null && keepsRows) LaneTranspose.ToRows((float*)_scores, count, kept);

        TopEight.Of(Keys(router.Score, bias, count), count, _best);
        uint left = Uncertain(bias, count, k);
        if (kept is not null && !keepsRows) LaneTranspose.ToRows((float*)_raw, k, kept);
        left |= Weigh(router, perExpert);
        LaneTranspose.ToRows((float*)_index, k, (float*)experts);
        LaneTranspose.ToRows((float*)_raw, k, weights);
        return left;
    }

    private static Vector512<float> Max(Vector512<float>* columns, int count, out bool hasNaN)
    {
        // a number that is none has more bits set than infinity
        var (max, largest) = (columns[0], Vector512<int>.Zero);
        for (int e = 0; e < count; e++)
        {
            max = Vector512.MaxNative(max, columns[e]);
            largest = Vector512.Max(largest, columns[e].AsInt32() & Vector512.Create(int.MaxValue));
        }

        hasNaN = Vector512.GreaterThanAny(largest, Vector512.Create(float.PositiveInfinity).AsInt32());
        return max;
    }

    /// <summary>Logits to scores, in place. Meanwhile the next rows come nearer: as many lines as a row has values.</summary>
    private void Score(ScoreFunction function, int count, Vector512<float> max, float* next)
    {
        if (function == ScoreFunction.Softmax)
        {
            Softmax(count, max, next);
            return;
        }

        for (int e = 0; e < count; e++)
        {
            RowMath.Prefetch(next + e * Tokens);
            if (function == ScoreFunction.Sigmoid) _scores[e] = RowMath.Sigmoid(_scores[e]);
            else if (function == ScoreFunction.SqrtSoftplus) _scores[e] = RowMath.SqrtSoftplus(_scores[e]);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]      // see RowMath
    private void Softmax(int count, Vector512<float> max, float* next)
    {
        Vector512<float>* scores = _scores, sums = _sums;
        for (int lane = 0; lane < RowMath.Lanes; lane++)
        {
            var sum = Vector512<float>.Zero;
            int e = lane;
            for (; e + RowMath.Lanes < count; e += 2 * RowMath.Lanes)
            {
                RowMath.Prefetch(next + e * Tokens);
                RowMath.Prefetch(next + (e + RowMath.Lanes) * Tokens);
                var (first, second) = (scores[e], scores[e + RowMath.Lanes]);
                Exponential.Below(ref first, ref second, max);
                (scores[e], scores[e + RowMath.Lanes]) = (first, second);
                sum += first;
                sum += second;
            }

            if (e < count)
            {
                RowMath.Prefetch(next + e * Tokens);
                scores[e] = Exponential.Below(scores[e], max);
                sum += scores[e];
            }

            sums[lane] = sum;
        }

        // the lanes of a row in the order of RowMath.Sum
        for (int half = RowMath.Lanes / 2; half > 0; half /= 2)
        {
            for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
        }

        var inverse = Vector512<float>.One / sums[0];
        for (int e = 0; e < count; e++) scores[e] *= inverse;
    }

    /// <summary>The keys of the choices, filled up to whole groups of eight.</summary>
    private Vector512<int>* Keys(ScoreFunction function, float* bias, int count)
    {
        // the bits of numbers that are not negative are keys as they are
        var keys = bias is null && function != ScoreFunction.Identity ? (Vector512<int>*)_scores : _keys;
        if (keys == _keys)
        {
            for (int e = 0; e < count; e++) keys[e] = RowTopK.Key(bias is null ? _scores[e] : _scores[e] + Vector512.Create(bias[e]));
        }

        for (int e = count; e % TopEight.Count != 0; e++) keys[e] = Vector512.Create(RowTopK.Taken);
        return keys;
    }

    /// <summary>Fills the experts and their scores; returns the tokens whose experts may be others.</summary>
    private uint Uncertain(float* bias, int count, int k)
    {
        int bits = TopEight.NumberBits(count);
        var (before, uncertain) = (Vector512.Create(float.PositiveInfinity), Vector512<float>.Zero);
        for (int i = 0; i < k; i++)
        {
            _index[i] = TopEight.Column(_best[i], bits);
            var choice = _raw[i] = Gather((float*)_scores, _index[i]);
            if (bias is not null) choice += Lookup(bias, _index[i]);
            uncertain |= ~Vector512.GreaterThanOrEqual(before, choice);
            before = choice;
        }

        // the first one that is left out may be as good as the last one, or better
        var isClose = Vector512.LessThanOrEqual(_best[k - 1] ^ _best[k], Vector512.Create(bits)) & Vector512.GreaterThanOrEqual(_best[k - 1] ^ _best[k], Vector512<int>.Zero);
        return (uint)(uncertain.AsInt32() | isClose).ExtractMostSignificantBits();
    }

    /// <summary>Raw weights to those that <see cref="ExpertWeights"/> makes of them; returns the tokens that have a NaN.</summary>
    private uint Weigh(RouterOptions router, float* perExpert)
    {
        int k = router.TopK;
        var divisor = Vector512<float>.One;
        if (router.Renormalize == Renormalization.Always)
        {
            divisor = Vector512<float>.Zero;
            for (int i = 0; i < k; i++) divisor += _raw[i];
            divisor += Vector512.Create((float)router.RenormalizeEpsilon);
        }

        var (scale, unordered) = (Vector512.Create((float)router.Scale), Vector512<float>.Zero);
        for (int i = 0; i < k; i++)
        {
            var weight = _raw[i] / divisor * scale;
            if (perExpert is not null) weight *= Lookup(perExpert, _index[i]);
            unordered |= ~Vector512.Equals(weight, weight);
            _raw[i] = weight;
        }

        return (uint)unordered.ExtractMostSignificantBits();
    }

    /// <summary>In each lane, the value of that lane in the column that the lane names.</summary>
    private static Vector512<float> Gather(float* columns, Vector512<int> index) => Lookup(columns, index * RowMath.Lanes + RowMath.Indices);

    private static Vector512<float> Lookup(float* values, Vector512<int> index)
    {
        Vector512<float> result;
        float* lanes = (float*)&result;
        int* from = (int*)&index;
        for (int lane = 0; lane < RowMath.Lanes; lane++) lanes[lane] = values[from[lane]];
        return result;
    }
}
