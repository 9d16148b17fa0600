using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>The largest values of a row, equal ones by the lowest index.</summary>
/// <remarks>
/// Values become integers of the same order first, so that every value, minus infinity too, is above <see cref="Taken"/>. Each pass finds
/// one: the best of every lane with its index, then the best lane.
/// </remarks>
internal static unsafe class RowTopK
{
    /// <summary>The key of what cannot be chosen: padding, and what was chosen already.</summary>
    public const int Taken = int.MinValue;

    /// <summary>Integers in the order of <paramref name="values"/>; both zeros are equal.</summary>
    public static void Keys(float* values, int* keys, int count)
    {
        int padded = RowMath.Padded(count);
        for (int i = 0; i < padded; i += RowMath.Lanes)
        {
            var bits = (Vector512.Load(values + i) + Vector512<float>.Zero).AsInt32();      // -0 + 0 = +0
            var key = bits ^ ((bits >> 31) & Vector512.Create(int.MaxValue));
            if (i + RowMath.Lanes > count) key = Vector512.ConditionalSelect(RowMath.LanesBelow(count - i).AsInt32(), key, Vector512.Create(Taken));
            key.Store(keys + i);
        }
    }

    /// <summary>The key of one value.</summary>
    public static int Key(float value)
    {
        int bits = BitConverter.SingleToInt32Bits(value + 0f);
        return bits ^ ((bits >> 31) & int.MaxValue);
    }

    /// <summary>The value of a key.</summary>
    public static float Value(int key) => BitConverter.Int32BitsToSingle(key ^ ((key >> 31) & int.MaxValue));

    /// <summary>The indices of the <paramref name="k"/> largest keys, largest first; they are taken from the keys.</summary>
    public static void Select(int* keys, int padded, int k, int* selected)
    {
        if (padded == RowMath.Lanes)
        {
            SelectOfOne(keys, k, selected);
            return;
        }

        for (int pass = 0; pass < k; pass++)
        {
            var best = Vector512.Load(keys);
            var (index, current) = (Vector512<int>.Indices, Vector512<int>.Indices);
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
            int found = System.Numerics.BitOperations.TrailingZeroCount(isBest.ExtractMostSignificantBits());
            selected[pass] = found;
            values = Vector512.ConditionalSelect(Vector512.Equals(Vector512<int>.Indices, Vector512.Create(found)), Vector512.Create(Taken), values);
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
