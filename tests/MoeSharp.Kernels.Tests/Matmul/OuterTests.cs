using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

/// <summary>Every outer product of the catalogue that can run here, against double precision and the scalar loop, between guard pages.</summary>
public sealed unsafe class OuterTests : IDisposable
{
    private const int Columns = TileKernel.Columns, MostRows = 14, MostDepth = 300;

    private static readonly int[] Depths = [.. Enumerable.Range(0, 40), 63, 64, 65, 257, MostDepth];

    private readonly GuardedMemory _a = new((MostDepth + 1) * MostRows * 2 * sizeof(float)), _b = new(MostDepth * Columns * 2 * sizeof(float)), _c = new(MostRows * Columns * sizeof(float));

    public static TheoryData<string> Kernels { get; } = [.. NamesOf(TileType.Float32)];

    public static TheoryData<string> BFloat16Kernels { get; } = [.. NamesOf(TileType.BFloat16)];

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_AnyRowsAndDepth_IsWithinTheRoundingOfItsSums(string name)
    {
        var kernel = Kernel(name);
        foreach (int depth in Depths)
        {
            float[] a = Draw(depth * kernel.MaxRows, depth), b = Draw(depth * Columns, depth + 1);
            for (int rows = 1; rows <= kernel.MaxRows; rows++)
            {
                float[] tile = Run(kernel, a, b, depth, rows, isAtEnd: rows % 2 == 0);

                for (int i = 0; i < tile.Length; i++)
                {
                    var products = Enumerable.Range(0, depth).Select(k => (double)a[k * rows + i / Columns] * b[k * Columns + i % Columns]).ToArray();
                    Assert.InRange(Math.Abs(tile[i] - products.Sum()), 0, (depth + 1) * products.Sum(Math.Abs) * Math.Pow(2, -24));
                }
            }
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_AnyRowsAndDepth_HasTheBitsOfTheScalarLoop(string name)
    {
        Assert.SkipUnless(Fma.IsSupported || AdvSimd.IsSupported || !Sse.IsSupported, "Without fused multiply-add.");
        var kernel = Kernel(name);
        foreach (int depth in Depths)
        {
            for (int rows = 1; rows <= kernel.MaxRows; rows++)
            {
                float[] a = Draw(depth * rows, depth), b = Draw(depth * Columns, depth + 1);
                uint[] expected = Lanes.Bits(Run(new OuterScalar(), a, b, depth, rows, isAtEnd: true));

                Assert.Equal(expected, Lanes.Bits(Run(kernel, a, b, depth, rows, isAtEnd: true)));
                Assert.Equal(expected, Lanes.Bits(Run(kernel, a, b, depth, rows, isAtEnd: false)));
            }
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_ARowAlone_HasItsBitsInATile(string name)
    {
        var kernel = Kernel(name);
        int rows = kernel.MaxRows;
        const int Depth = 77;
        float[] a = Draw(Depth * rows, 1), b = Draw(Depth * Columns, 2);
        float[] whole = Run(kernel, a, b, Depth, rows, isAtEnd: true);

        for (int row = 0; row < rows; row++)
        {
            float[] alone = Run(kernel, [.. Enumerable.Range(0, Depth).Select(k => a[k * rows + row])], b, Depth, 1, isAtEnd: true);
            Assert.Equal(Lanes.Bits(whole[(row * Columns)..((row + 1) * Columns)]), Lanes.Bits(alone));
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_NaNAndInfinity_ReachTheElementsTheyBelongTo(string name)
    {
        var kernel = Kernel(name);
        int rows = kernel.MaxRows;
        float[] a = [.. Enumerable.Repeat(1f, 5 * rows)], b = [.. Enumerable.Repeat(2f, 5 * Columns)];
        a[2 * rows] = float.NaN;
        b[3 * Columns + 7] = float.PositiveInfinity;

        float[] tile = Run(kernel, a, b, 5, rows, isAtEnd: true);

        for (int i = 0; i < tile.Length; i++) Assert.Equal(i < Columns ? float.NaN : i % Columns == 7 ? float.PositiveInfinity : 10, tile[i]);
    }

    [Theory, MemberData(nameof(BFloat16Kernels))]
    public void Multiply_OfBFloat16_HasTheBitsOfTheScalarLoopAndIsWithinTheRoundingOfItsSums(string name)
    {
        var kernel = Kernel(name);
        foreach (int depth in Depths)
        {
            float[] a = DrawLanes(depth * kernel.MaxRows, depth), b = DrawLanes(depth * Columns, depth + 1);
            for (int rows = 1; rows <= kernel.MaxRows; rows++)
            {
                float[] part = a[..(depth * rows)];
                float[] tile = Run(kernel, part, b, depth, rows, isAtEnd: rows % 2 == 0);

                Assert.Equal(Lanes.Bits(Run(new BFloat16OuterScalar(), part, b, depth, rows, isAtEnd: true)), Lanes.Bits(tile));
                for (int i = 0; i < tile.Length; i += 5)
                {
                    var products = Enumerable.Range(0, depth).SelectMany(k => Products(part[k * rows + i / Columns], b[k * Columns + i % Columns])).ToArray();
                    Assert.InRange(Math.Abs(tile[i] - products.Sum()), 0, (2 * depth + 1) * products.Sum(Math.Abs) * Math.Pow(2, -24));
                }
            }
        }
    }

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
        _c.Dispose();
    }

    // rows of A and B with a gap between them, but none after the last
    private float[] Run(OuterKernel kernel, ReadOnlySpan<float> a, ReadOnlySpan<float> b, int depth, int rows, bool isAtEnd)
    {
        int strideA = rows + 3, strideB = Columns + 5;
        float* placeA = Place(_a, strideA, rows), placeB = Place(_b, strideB, Columns), placeC = (float*)(isAtEnd ? _c.Last(rows * Columns * sizeof(float)) : _c.First(rows * Columns * sizeof(float)));
        for (int k = 0; k < depth; k++)
        {
            a.Slice(k * rows, rows).CopyTo(new Span<float>(placeA + k * strideA, rows));
            b.Slice(k * Columns, Columns).CopyTo(new Span<float>(placeB + k * strideB, Columns));
        }

        new Span<float>(placeC, rows * Columns).Fill(float.NaN); // C is written, never read
        var arguments = new OuterArguments { A = (byte*)placeA, AStride = strideA * sizeof(float), B = (byte*)placeB, BStride = strideB * sizeof(float), C = placeC, Depth = depth };
        kernel.Multiply(&arguments, rows);
        return new Span<float>(placeC, rows * Columns).ToArray();

        float* Place(GuardedMemory memory, int stride, int last)
        {
            int bytes = depth == 0 ? 0 : ((depth - 1) * stride + last) * sizeof(float);
            return (float*)(isAtEnd ? memory.Last(bytes) : memory.First(bytes));
        }
    }

    private static float[] Draw(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() * 2 - 1)];
    }

    // two bfloat16 in each
    private static float[] DrawLanes(int count, int seed) =>
        [.. Draw(2 * count, seed).Chunk(2).Select(pair => BitConverter.UInt32BitsToSingle(BFloat16Values.Round(pair[0]) | (uint)BFloat16Values.Round(pair[1]) << 16))];

    private static double[] Products(float a, float b)
    {
        uint x = BitConverter.SingleToUInt32Bits(a), y = BitConverter.SingleToUInt32Bits(b);
        return [(double)Value(x << 16) * Value(y << 16), (double)Value(x & 0xffff0000) * Value(y & 0xffff0000)];

        static float Value(uint bits) => BitConverter.UInt32BitsToSingle(bits);
    }

    private static IEnumerable<string> NamesOf(TileType type) => KernelCatalog.RunnableOuters.Where(kernel => kernel.Type == type).Select(kernel => kernel.Name);

    private static OuterKernel Kernel(string name) => KernelCatalog.RunnableOuters.Single(kernel => kernel.Name == name);
}
