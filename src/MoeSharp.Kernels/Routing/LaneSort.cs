using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Orders the sixteen lanes of a vector, all at once: by a bitonic network (Batcher 1968), or by counting what is larger.</summary>
internal static unsafe class LaneSort
{
    private static readonly Vector512<int>[] Partners = [.. Stages().Select(stage => Lanes(lane => lane ^ stage.Distance))];
    private static readonly Vector512<int>[] TakesLarger = [.. Stages().Select(stage => Lanes(lane => ((lane & stage.Size) == 0) == ((lane & stage.Distance) == 0) ? -1 : 0))];

    private static readonly (int Upper, int Lower)[] Exchanges = [.. Network()];
    private static readonly Vector512<int>[] Rotations = [.. Enumerable.Range(1, RowMath.Lanes - 1).Select(by => Lanes(lane => (lane + by) % RowMath.Lanes))];
    private static readonly Vector512<int>[] IsEarlier = [.. Enumerable.Range(1, RowMath.Lanes - 1).Select(by => Lanes(lane => lane + by >= RowMath.Lanes ? 1 : 0))];

    /// <summary>The lanes, largest first.</summary>
    public static Vector512<int> Descending(Vector512<int> lanes)
    {
        for (int stage = 0; stage < Partners.Length; stage++)
        {
            var other = Partner(lanes, Partners[stage]);
            lanes = Vector512.ConditionalSelect(TakesLarger[stage], Vector512.Max(lanes, other), Vector512.Min(lanes, other));
        }

        return lanes;
    }

    // partners are as far apart in both halves, or in each other's
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Partner(Vector512<int> lanes, Vector512<int> partners)
    {
        if (Vector512.IsHardwareAccelerated) return Vector512.ShuffleNative(lanes, partners);
        if (partners.ToScalar() == RowMath.Lanes / 2) return Vector512.Create(lanes.GetUpper(), lanes.GetLower());

        var within = partners.GetLower();
        return Vector512.Create(Vector256.ShuffleNative(lanes.GetLower(), within), Vector256.ShuffleNative(lanes.GetUpper(), within));
    }

    /// <summary>How many lanes come before each one when the largest is first, and of equal ones the earlier lane.</summary>
    public static Vector512<int> Ranks(Vector512<int> lanes)
    {
        var rank = Vector512<int>.Zero;
        for (int i = 0; i < Rotations.Length; i++)
        {
            // of an earlier lane, an equal value counts too: it is above the value less one
            var other = Vector512.ShuffleNative(lanes, Rotations[i]);
            rank -= Vector512.GreaterThan(other, lanes - IsEarlier[i]);
        }

        return rank;
    }

    /// <summary>The k-th largest lane of each of sixteen rows: sixteen sorts side by side, a row in every lane.</summary>
    public static Vector512<int> KthLargest(int* rows, int k)
    {
        Vector512<int>* columns = stackalloc Vector512<int>[RowMath.Lanes];
        LaneTranspose.ToColumns((float*)rows, RowMath.Lanes, (float*)columns);
        foreach (var (upper, lower) in Exchanges)
        {
            var (a, b) = (columns[upper], columns[lower]);
            (columns[upper], columns[lower]) = (Vector512.Max(a, b), Vector512.Min(a, b));
        }

        return columns[k - 1];
    }

    // the same network between vectors instead of lanes
    private static IEnumerable<(int Upper, int Lower)> Network() =>
        from stage in Stages()
        from lane in Enumerable.Range(0, RowMath.Lanes)
        where (lane & stage.Distance) == 0
        select (lane & stage.Size) == 0 ? (lane, lane ^ stage.Distance) : (lane ^ stage.Distance, lane);

    private static IEnumerable<(int Size, int Distance)> Stages()
    {
        for (int size = 2; size <= RowMath.Lanes; size *= 2)
        {
            for (int distance = size / 2; distance > 0; distance /= 2) yield return (size, distance);
        }
    }

    private static Vector512<int> Lanes(Func<int, int> value) => Vector512.Create([.. Enumerable.Range(0, RowMath.Lanes).Select(value)]);
}
