using System.Runtime.Intrinsics;

namespace MoeSharp.Kernels.Tests;

/// <summary>What moves, orders and gathers lanes does the same in registers of any width.</summary>
public sealed unsafe class LaneTests
{
    private const int Lanes = RowMath.Lanes;

    [Fact]
    public void Transpose_AnyNumberOfColumns_TurnsRowsToColumnsAndBack()
    {
        for (int count = 1; count <= 40; count++)
        {
            float[] rows = [.. Enumerable.Range(0, Lanes * count).Select(i => (float)i)], columns = new float[rows.Length], back = new float[rows.Length];

            fixed (float* from = rows, to = columns, again = back)
            {
                LaneTranspose.ToColumns(from, count, to);
                LaneTranspose.ToRows(to, count, again);
            }

            Assert.All(columns, (value, i) => Assert.Equal(rows[i % Lanes * count + i / Lanes], value));
            Assert.Equal(rows, back);
        }
    }

    [Fact]
    public void Compress_AnyChoiceOfEightLanes_StoresThemInOrderAndCountsThem()
    {
        int* values = stackalloc int[Lanes], others = stackalloc int[Lanes];
        for (int choice = 0; choice < 256; choice++)
        {
            int bits = choice | ((255 - choice) << 8);      // every choice in either half
            int[] chosen = [.. Enumerable.Range(0, Lanes).Where(lane => (bits >> lane & 1) != 0)];
            var mask = Vector512.Create([.. Enumerable.Range(0, Lanes).Select(lane => -(bits >> lane & 1))]);

            int count = LaneCompress.Store(RowMath.Indices, RowMath.Indices * 3, mask, values, others);

            Assert.Equal(chosen, new ReadOnlySpan<int>(values, count).ToArray());
            Assert.Equal(chosen.Select(lane => lane * 3), new ReadOnlySpan<int>(others, count).ToArray());
        }
    }

    [Fact]
    public void Sort_AnyLanes_PutsTheLargestFirst()
    {
        var random = new Random(1);
        for (int round = 0; round < 100; round++)
        {
            int[] lanes = [.. Enumerable.Range(0, Lanes).Select(_ => random.Next(-5, 20 + round * round))];

            var sorted = LaneSort.Descending(Vector512.Create(lanes));

            Assert.Equal(lanes.OrderDescending(), Enumerable.Range(0, Lanes).Select(lane => sorted[lane]));
        }
    }

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(64)]
    [InlineData(128)]
    public void TopEight_KeysOfEveryLane_FindsTheEightLargestAndTheNinth(int columns)
    {
        int bits = TopEight.NumberBits(columns);
        var random = new Random(columns);
        int[] keys = [.. Enumerable.Range(0, columns * Lanes).Select(_ => random.Next(int.MinValue / 2, int.MaxValue / 2) & ~bits)];
        int[] best = new int[(TopEight.Count + 1) * Lanes];

        fixed (int* from = keys, to = best) TopEight.Of((Vector512<int>*)from, columns, (Vector512<int>*)to);

        for (int lane = 0; lane < Lanes; lane++)
        {
            var expected = Enumerable.Range(0, columns).Select(column => keys[column * Lanes + lane] | (bits - column)).OrderDescending().Append(RowTopK.Taken).Take(TopEight.Count + 1);
            Assert.Equal(expected, Enumerable.Range(0, TopEight.Count + 1).Select(place => best[place * Lanes + lane]));
        }
    }

    [Theory]
    [InlineData(16)]
    [InlineData(48)]
    [InlineData(256)]
    [InlineData(512)]
    public void Select_FewOrManyEqualKeys_TakesTheLargestAndOfEqualOnesTheFirst(int count)
    {
        foreach (int kinds in (int[])[1, 4, count / 4, 100 * count])
        {
            for (int k = 1; k <= Lanes; k++)
            {
                var random = new Random(kinds + k);
                int[] keys = [.. Enumerable.Range(0, count).Select(_ => random.Next(-kinds, kinds))], selected = new int[k];
                int[] expected = [.. Enumerable.Range(0, count).OrderByDescending(i => keys[i]).Take(k)];

                fixed (int* from = keys, to = selected) RowTopK.Select(from, count, k, to);

                Assert.Equal(expected, selected);
            }
        }
    }
}
