using System.Runtime.InteropServices;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed unsafe class PanelPackerTests
{
    private const uint Untouched = 0xdeadbeef;

    [Theory]
    [InlineData(true, TileType.Float32)]
    [InlineData(true, TileType.BFloat16)]
    [InlineData(false, TileType.Float32)]
    [InlineData(false, TileType.BFloat16)]
    public void Transposed_RowsAnywhereInMemory_AreTheColumnsOfAHalfPanel(bool isFromFloat, object type)
    {
        int[] depths = [.. Enumerable.Range(0, 70), 255, 256, 257, 511, 512, 513, 1025];
        using var memory = new GuardedMemory(20 * 1025 * sizeof(float));
        foreach (int depth in depths)
        {
            foreach (var (rows, gap, shift) in ((int, int, int)[])[(16, 0, 0), (16, 0, 2), (16, 2, 4), (16, 1, 7), (16, 0, 15), (9, 0, 1), (0, 0, 0)])
            {
                if (isFromFloat) Check<float>(memory, depth, rows, gap, shift, (TileType)type);
                else Check<ushort>(memory, depth, rows, gap, shift, (TileType)type);
            }
        }
    }

    /// <summary>Rows that end <paramref name="shift"/> values before the guard, so that they begin anywhere in a line.</summary>
    private static void Check<T>(GuardedMemory memory, int depth, int rows, int gap, int shift, TileType type)
        where T : unmanaged
    {
        int stride = depth + gap, count = rows * stride + shift;
        T* source = (T*)memory.Last(count * sizeof(T));
        new Random(depth).NextBytes(MemoryMarshal.AsBytes(new Span<T>(source, count)));
        int lanes = PanelPacker.Lanes(depth, type);
        uint* half = (uint*)NativeMemory.AlignedAlloc((nuint)(lanes * TileKernel.Columns + 16) * sizeof(uint), 64);
        foreach (bool streams in (bool[])[false, true])
        {
            new Span<uint>(half, lanes * TileKernel.Columns).Fill(Untouched);

            PanelPacker.Transposed(source, stride, rows, depth, type, (float*)half, streams);

            AssertPacked(half, source, stride, rows, depth, type);
        }

        NativeMemory.AlignedFree(half);
    }

    private static void AssertPacked<T>(uint* half, T* source, int stride, int rows, int depth, TileType type)
        where T : unmanaged
    {
        for (int lane = 0; lane < PanelPacker.Lanes(depth, type); lane++)
        {
            for (int column = 0; column < TileKernel.Columns; column++)
            {
                uint expected = column >= 16 ? Untouched : column >= rows ? 0 : Lane(source + column * stride, lane, depth, type);
                Assert.Equal(expected, half[lane * TileKernel.Columns + column]);
            }
        }
    }

    private static uint Lane<T>(T* row, int lane, int depth, TileType type)
        where T : unmanaged
    {
        if (type == TileType.Float32) return sizeof(T) == sizeof(float) ? *(uint*)(row + lane) : (uint)*(ushort*)(row + lane) << 16;

        return Half(2 * lane) | (2 * lane + 1 < depth ? Half(2 * lane + 1) << 16 : 0);

        uint Half(int index) => sizeof(T) == sizeof(float) ? BFloat16Values.Round(*(float*)(row + index)) : *(ushort*)(row + index);
    }
}
