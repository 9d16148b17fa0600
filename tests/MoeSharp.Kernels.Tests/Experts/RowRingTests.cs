namespace MoeSharp.Kernels.Tests;

public sealed class RowRingTests
{
    /// <summary>The law of the ring, with waits that follow from earlier ones: who takes the place of rows waits for their expert.</summary>
    [Fact]
    public void Add_AnyExperts_LeavesRowsInPlaceUntilTheirExpertIsWaitedFor()
    {
        var random = new Random(1);
        var ring = new RowRing();
        for (int round = 0; round < 300; round++)
        {
            int[] counts = [.. Enumerable.Range(0, random.Next(1, 60)).Select(_ => random.Next(1, random.Next(2, 40)))];
            ring.Clear(counts.Length, counts.Sum(), counts.Max(), rowBytes: 1 << 20, threads: random.Next(1, 8));
            var held = new Dictionary<int, Range>();
            for (int expert = 0; expert < counts.Length; expert++)
            {
                ring.Add(expert, counts[expert]);
                foreach (int other in ring.Before(expert)) Assert.True(held.Remove(other), "waited for twice");

                int start = ring.StartOf(expert), end = start + counts[expert];
                Assert.InRange(end, 1, ring.Rows);
                Assert.All(held.Values, other => Assert.False(other.Start.Value < end && start < other.End.Value, "two experts share a row"));
                held.Add(expert, start..end);
            }
        }
    }

    [Fact]
    public void Clear_FewRows_HasAPlaceForEach()
    {
        var ring = new RowRing();

        ring.Clear(experts: 3, rows: 60, most: 30, rowBytes: 8192, threads: 1);
        for (int expert = 0; expert < 3; expert++) ring.Add(expert, 20);

        Assert.Equal(60, ring.Rows);
        Assert.Equal([0, 20, 40], Enumerable.Range(0, 3).Select(ring.StartOf));
        Assert.All(Enumerable.Range(0, 3), expert => Assert.Equal(0, ring.Before(expert).Length));
    }
}
