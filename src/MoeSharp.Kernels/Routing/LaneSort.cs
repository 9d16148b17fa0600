using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Sorts the sixteen lanes of a vector by a bitonic network (Batcher 1968): ten compare-exchanges of all lanes at once.</summary>
internal static class LaneSort
{
    private static readonly Vector512<int>[] Partners = [.. Stages().Select(stage => Lanes(lane => lane ^ stage.Distance))];
    private static readonly Vector512<int>[] TakesLarger = [.. Stages().Select(stage => Lanes(lane => ((lane & stage.Size) == 0) == ((lane & stage.Distance) == 0) ? -1 : 0))];

    /// <summary>The lanes, largest first.</summary>
    public static Vector512<int> Descending(Vector512<int> lanes)
    {
        for (int stage = 0; stage < Partners.Length; stage++)
        {
            var other = Vector512.Shuffle(lanes, Partners[stage]);
            lanes = Vector512.ConditionalSelect(TakesLarger[stage], Vector512.Max(lanes, other), Vector512.Min(lanes, other));
        }

        return lanes;
    }

    private static IEnumerable<(int Size, int Distance)> Stages()
    {
        for (int size = 2; size <= RowMath.Lanes; size *= 2)
        {
            for (int distance = size / 2; distance > 0; distance /= 2) yield return (size, distance);
        }
    }

    private static Vector512<int> Lanes(Func<int, int> value) => Vector512.Create([.. Enumerable.Range(0, RowMath.Lanes).Select(value)]);
}
