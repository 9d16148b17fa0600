using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>
/// Up to 12 rows by two vectors of 16 columns. Unlike the tiles of <see cref="Float32Avx512"/> it finds the values of A side by side, at
/// fixed distances, and needs no strides.
/// </summary>
internal sealed unsafe class Float32OuterAvx512 : OuterKernel
{
    private static readonly delegate*<OuterArguments*, void>[] Tiles =
    [
        null,
        &Tile<Rows1>,
        &Tile<Rows2>,
        &Tile<Rows3>,
        &Tile<Rows4>,
        &Tile<Rows5>,
        &Tile<Rows6>,
        &Tile<Rows7>,
        &Tile<Rows8>,
        &Tile<Rows9>,
        &Tile<Rows10>,
        &Tile<Rows11>,
        &Tile<Rows12>,
    ];

    public override string Name => "outer.f32.avx512";

    public override bool IsSupported => Avx512F.IsSupported;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => 12;

    public override void Multiply(OuterArguments* arguments, int rows) => Tiles[rows](arguments);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<TRows>(OuterArguments* arguments)
        where TRows : struct, IConstant
    {
        nint aStride = arguments->AStride, bStride = arguments->BStride;
        byte* pa = arguments->A, pb = arguments->B;
        Vector512<float> l0 = default, r0 = default;
        Vector512<float> l1 = default, r1 = default;
        Vector512<float> l2 = default, r2 = default;
        Vector512<float> l3 = default, r3 = default;
        Vector512<float> l4 = default, r4 = default;
        Vector512<float> l5 = default, r5 = default;
        Vector512<float> l6 = default, r6 = default;
        Vector512<float> l7 = default, r7 = default;
        Vector512<float> l8 = default, r8 = default;
        Vector512<float> l9 = default, r9 = default;
        Vector512<float> l10 = default, r10 = default;
        Vector512<float> l11 = default, r11 = default;
        for (nint k = arguments->Depth; k > 0; k--)
        {
            float* a = (float*)pa;
            Vector512<float> left = Vector512.Load((float*)pb), right = Vector512.Load((float*)pb + 16);
            MultiplyAdd(a, left, right, ref l0, ref r0);
            if (TRows.Value > 1) MultiplyAdd(a + 1, left, right, ref l1, ref r1);
            if (TRows.Value > 2) MultiplyAdd(a + 2, left, right, ref l2, ref r2);
            if (TRows.Value > 3) MultiplyAdd(a + 3, left, right, ref l3, ref r3);
            if (TRows.Value > 4) MultiplyAdd(a + 4, left, right, ref l4, ref r4);
            if (TRows.Value > 5) MultiplyAdd(a + 5, left, right, ref l5, ref r5);
            if (TRows.Value > 6) MultiplyAdd(a + 6, left, right, ref l6, ref r6);
            if (TRows.Value > 7) MultiplyAdd(a + 7, left, right, ref l7, ref r7);
            if (TRows.Value > 8) MultiplyAdd(a + 8, left, right, ref l8, ref r8);
            if (TRows.Value > 9) MultiplyAdd(a + 9, left, right, ref l9, ref r9);
            if (TRows.Value > 10) MultiplyAdd(a + 10, left, right, ref l10, ref r10);
            if (TRows.Value > 11) MultiplyAdd(a + 11, left, right, ref l11, ref r11);
            pa += aStride;
            pb += bStride;
        }

        float* c = arguments->C;
        Store(c + 0 * TileKernel.Columns, l0, r0);
        if (TRows.Value > 1) Store(c + 1 * TileKernel.Columns, l1, r1);
        if (TRows.Value > 2) Store(c + 2 * TileKernel.Columns, l2, r2);
        if (TRows.Value > 3) Store(c + 3 * TileKernel.Columns, l3, r3);
        if (TRows.Value > 4) Store(c + 4 * TileKernel.Columns, l4, r4);
        if (TRows.Value > 5) Store(c + 5 * TileKernel.Columns, l5, r5);
        if (TRows.Value > 6) Store(c + 6 * TileKernel.Columns, l6, r6);
        if (TRows.Value > 7) Store(c + 7 * TileKernel.Columns, l7, r7);
        if (TRows.Value > 8) Store(c + 8 * TileKernel.Columns, l8, r8);
        if (TRows.Value > 9) Store(c + 9 * TileKernel.Columns, l9, r9);
        if (TRows.Value > 10) Store(c + 10 * TileKernel.Columns, l10, r10);
        if (TRows.Value > 11) Store(c + 11 * TileKernel.Columns, l11, r11);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyAdd(float* a, Vector512<float> left, Vector512<float> right, ref Vector512<float> sumLeft, ref Vector512<float> sumRight)
    {
        var value = Vector512.Create(*a);
        sumLeft = Avx512F.FusedMultiplyAdd(value, left, sumLeft);
        sumRight = Avx512F.FusedMultiplyAdd(value, right, sumRight);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector512<float> left, Vector512<float> right)
    {
        left.Store(c);
        right.Store(c + 16);
    }
}
