using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>The largest values of a row, equal ones by the lowest index.</summary>
/// <remarks>Values become integers of the same order first, so that every value, minus infinity too, is above <see cref="Taken"/>.</remarks>
internal static unsafe class RowTopK
{
    private const int LongestOfOneVector = 256;     // longer rows have more candidates more often than not
    private const int BitsTogether = 4;

    /// <summary>The most that are ranked by counting.</summary>
    public const int MostCandidates = 2 * RowMath.Lanes;

    /// <summary>The key of what cannot be chosen: padding, and what was chosen already.</summary>
    public const int Taken = int.MinValue;

    /// <summary>Integers in the order of <paramref name="values"/>; both zeros are equal.</summary>
    public static void Keys(float* values, int* keys, int count)
    {
        int padded = RowMath.Padded(count);
        for (int i = 0; i < padded; i += RowMath.Lanes)
        {
            var key = Key(Vector512.Load(values + i));
            if (i + RowMath.Lanes > count) key = Vector512.ConditionalSelect(RowMath.LanesBelow(count - i).AsInt32(), key, Vector512.Create(Taken));
            key.Store(keys + i);
        }
    }

    /// <summary>The keys of values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Key(Vector512<float> values)
    {
        var bits = (values + Vector512<float>.Zero).AsInt32();      // -0 + 0 = +0
        return bits ^ ((bits >> 31) & Vector512.Create(int.MaxValue));
    }

    /// <summary>The values of keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<int> keys) => (keys ^ ((keys >> 31) & Vector512.Create(int.MaxValue))).AsSingle();

    /// <summary>The key of one value.</summary>
    public static int Key(float value)
    {
        int bits = BitConverter.SingleToInt32Bits(value + 0f);
        return bits ^ ((bits >> 31) & int.MaxValue);
    }

    /// <summary>The value of a key.</summary>
    public static float Value(int key) => BitConverter.Int32BitsToSingle(key ^ ((key >> 31) & int.MaxValue));

    /// <summary>The indices of the <paramref name="k"/> largest keys, largest first. The keys are used up.</summary>
    public static void Select(int* keys, int padded, int k, int* selected)
    {
        if (padded == RowMath.Lanes) SelectOfOne(keys, k, selected);
        else if (k > RowMath.Lanes) SelectByPasses(keys, padded, k, selected);
        else Select(keys, padded, k, selected, LaneSort.Descending(Maxima(keys, padded))[k - 1]);
    }

    /// <summary>The same with a known lower bound of what is selected: the k-th largest of the lanes' maxima, k at most sixteen.</summary>
    /// <remarks>What reaches it is few, and ranked by counting what is better. Many equal values are selected one by one.</remarks>
    public static void Select(int* keys, int padded, int k, int* selected, int threshold)
    {
        var bound = Vector512.Create(threshold);
        bool isDone = Vector512.IsHardwareAccelerated && padded <= LongestOfOneVector && SelectOfOneVector(keys, padded, k, selected, bound);
        if (!isDone && !SelectOfTwoVectors(keys, padded, k, selected, bound)) SelectByPasses(keys, padded, k, selected);
    }

    /// <summary>
    /// The places of the bits of <paramref name="marks"/>, in order, and their number; where they are more than
    /// <see cref="MostCandidates"/>, some of them. Writes up to <see cref="BitsTogether"/> more than there are.
    /// </summary>
    public static int Marked(ulong* marks, int words, int* places)
    {
        int count = 0;
        for (int word = 0; word < words; word++)
        {
            // as many as are mostly there, whether they are or not: their number is hard to foretell
            for (ulong left = marks[word]; left != 0 && count <= MostCandidates;)
            {
                int marked = BitOperations.PopCount(left);
                for (int i = 0; i < BitsTogether; i++, left &= left - 1) places[count + i] = word * 64 + BitOperations.TrailingZeroCount(left);
                count += Math.Min(marked, BitsTogether);
            }
        }

        return count;
    }

    /// <summary>
    /// The indices of the <paramref name="k"/> largest of those <paramref name="values"/> that stand at the given places, which ascend and are
    /// at least k and at most <see cref="MostCandidates"/>. None is negative, so that their bits are their keys.
    /// </summary>
    public static void SelectMarked(float* values, int* places, int count, int k, int* selected)
    {
        int* candidates = stackalloc int[MostCandidates];
        for (int i = 0; i < count; i++) candidates[i] = ((int*)values)[places[i]];
        SelectRanked(candidates, places, count, k, selected);
    }

    /// <summary>The largest key of every lane.</summary>
    public static Vector512<int> Maxima(int* keys, int padded)
    {
        var maxima = Vector512.Load(keys);
        for (int i = RowMath.Lanes; i < padded; i += RowMath.Lanes) maxima = Vector512.Max(maxima, Vector512.Load(keys + i));
        return maxima;
    }

    /// <summary>When the candidates fit a vector, they never leave the registers.</summary>
    private static bool SelectOfOneVector(int* keys, int padded, int k, int* selected, Vector512<int> threshold)
    {
        Vector512<int> candidates = default, places = default, current = RowMath.Indices;
        int count = 0;
        for (int i = 0; i < padded; i += RowMath.Lanes)
        {
            var block = Vector512.Load(keys + i);
            var reached = Vector512.GreaterThanOrEqual(block, threshold);
            candidates = LaneCompress.Append(candidates, count, block, reached);
            places = LaneCompress.Append(places, count, current, reached);
            count += BitOperations.PopCount(reached.ExtractMostSignificantBits());
            current += Vector512.Create(RowMath.Lanes);
        }

        if (count > RowMath.Lanes) return false;

        // lanes without a candidate rank behind all
        int* ranks = stackalloc int[RowMath.Lanes], ids = stackalloc int[RowMath.Lanes], ranked = stackalloc int[2 * RowMath.Lanes];
        var isCandidate = RowMath.LanesBelow(count).AsInt32();
        candidates = Vector512.ConditionalSelect(isCandidate, candidates, Vector512.Create(Taken));
        Vector512.ConditionalSelect(isCandidate, LaneSort.Ranks(candidates), Vector512.Create(RowMath.Lanes)).Store(ranks);
        places.Store(ids);
        for (int i = 0; i < RowMath.Lanes; i++) ranked[ranks[i]] = ids[i];
        for (int i = 0; i < k; i++) selected[i] = ranked[i];
        return true;
    }

    private static bool SelectOfTwoVectors(int* keys, int padded, int k, int* selected, Vector512<int> threshold)
    {
        // a vector more than is read: whole vectors are written
        int* candidates = stackalloc int[MostCandidates + RowMath.Lanes], places = stackalloc int[MostCandidates + RowMath.Lanes];
        int count = Gather(keys, padded, threshold, candidates, places);
        if (count > MostCandidates) return false;

        SelectRanked(candidates, places, count, k, selected);
        return true;
    }

    private static void SelectRanked(int* candidates, int* places, int count, int k, int* selected)
    {
        int* ranks = stackalloc int[MostCandidates], ranked = stackalloc int[MostCandidates];
        Rank(candidates, count, ranks);
        for (int i = 0; i < count; i++) ranked[ranks[i]] = places[i];
        for (int i = 0; i < k; i++) selected[i] = ranked[i];
    }

    /// <summary>The keys that reach the threshold, in order, and their places; stops once there are too many.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]      // compiled anew once it was called often, which its caller with memory on the stack is not
    private static int Gather(int* keys, int padded, Vector512<int> threshold, int* candidates, int* places)
    {
        var current = RowMath.Indices;
        int count = 0;
        for (int i = 0; i < padded && count <= MostCandidates; i += RowMath.Lanes)
        {
            var block = Vector512.Load(keys + i);
            count += LaneCompress.Store(block, current, Vector512.GreaterThanOrEqual(block, threshold), candidates + count, places + count);
            current += Vector512.Create(RowMath.Lanes);
        }

        return count;
    }

    /// <summary>How many candidates come before each one: the larger ones, and of equal ones the earlier.</summary>
    private static void Rank(int* candidates, int count, int* ranks)
    {
        for (int first = 0; first < count; first += RowMath.Lanes)
        {
            var (own, places, rank) = (Vector512.Load(candidates + first), RowMath.Indices + Vector512.Create(first), Vector512<int>.Zero);
            for (int i = 0; i < count; i++)
            {
                // of an earlier candidate, an equal key counts too: it is above the key less one
                var isLater = Vector512.GreaterThan(places, Vector512.Create(i));
                rank -= Vector512.GreaterThan(Vector512.Create(candidates[i]), own + isLater);
            }

            rank.Store(ranks + first);
        }
    }

    /// <summary>The same by looking through all keys for each one: the way that always works.</summary>
    public static void SelectByPasses(int* keys, int padded, int k, int* selected)
    {
        for (int pass = 0; pass < k; pass++)
        {
            var best = Vector512.Load(keys);
            var (index, current) = (RowMath.Indices, RowMath.Indices);
            for (int i = RowMath.Lanes; i < padded; i += RowMath.Lanes)
            {
                current += Vector512.Create(RowMath.Lanes);
                var value = Vector512.Load(keys + i);
                var isBetter = Vector512.GreaterThan(value, best);
                best = Vector512.ConditionalSelect(isBetter, value, best);
                index = Vector512.ConditionalSelect(isBetter, current, index);
            }

            int found = Min(Vector512.ConditionalSelect(Vector512.Equals(best, Vector512.Create(Max(best))), index, Vector512.Create(int.MaxValue)));
            selected[pass] = found;
            keys[found] = Taken;
        }
    }

    private static void SelectOfOne(int* keys, int k, int* selected)
    {
        var values = Vector512.Load(keys);
        for (int pass = 0; pass < k; pass++)
        {
            var isBest = Vector512.Equals(values, Vector512.Create(Max(values)));
            int found = BitOperations.TrailingZeroCount(isBest.ExtractMostSignificantBits());
            selected[pass] = found;
            values = Vector512.ConditionalSelect(Vector512.Equals(RowMath.Indices, Vector512.Create(found)), Vector512.Create(Taken), values);
        }

        values.Store(keys);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Max(Vector512<int> value)
    {
        var half = Vector256.Max(value.GetLower(), value.GetUpper());
        var quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        quarter = Vector128.Max(quarter, Vector128.Shuffle(quarter, Vector128.Create(2, 3, 0, 1)));
        quarter = Vector128.Max(quarter, Vector128.Shuffle(quarter, Vector128.Create(1, 0, 3, 2)));
        return quarter.ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Min(Vector512<int> value)
    {
        var half = Vector256.Min(value.GetLower(), value.GetUpper());
        var quarter = Vector128.Min(half.GetLower(), half.GetUpper());
        quarter = Vector128.Min(quarter, Vector128.Shuffle(quarter, Vector128.Create(2, 3, 0, 1)));
        quarter = Vector128.Min(quarter, Vector128.Shuffle(quarter, Vector128.Create(1, 0, 3, 2)));
        return quarter.ToScalar();
    }
}
