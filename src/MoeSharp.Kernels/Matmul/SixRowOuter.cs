using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>
/// The loop of every <see cref="OuterKernel"/> that has 16 registers to live in: <see cref="SixRowTile{TVector, TLanes}"/> with the values of
/// A side by side.
/// </summary>
internal static unsafe class SixRowOuter<TVector, TLanes>
    where TVector : struct
    where TLanes : struct, ITileLanes<TVector>
{
    public const int MaxRows = 6;

    private const int Lane = 4;

    private static readonly delegate*<OuterArguments*, int, void>[] Passes = [null, &Pass<Rows1>, &Pass<Rows2>, &Pass<Rows3>, &Pass<Rows4>, &Pass<Rows5>, &Pass<Rows6>];

    public static void Multiply(OuterArguments* arguments, int rows)
    {
        for (int column = 0; column < TileKernel.Columns; column += 2 * TLanes.Count) Passes[rows](arguments, column);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pass<TRows>(OuterArguments* arguments, int column)
        where TRows : struct, IConstant
    {
        nint aStride = arguments->AStride, bStride = arguments->BStride;
        byte* a = arguments->A, b = arguments->B + column * Lane;
        TVector l0 = default, r0 = default;
        TVector l1 = default, r1 = default;
        TVector l2 = default, r2 = default;
        TVector l3 = default, r3 = default;
        TVector l4 = default, r4 = default;
        TVector l5 = default, r5 = default;
        for (nint k = arguments->Depth; k > 0; k--)
        {
            TVector left = TLanes.Load(b), right = TLanes.Load(b + TLanes.Count * Lane);
            (l0, r0) = MultiplyAdd(a, left, right, l0, r0);
            if (TRows.Value > 1) (l1, r1) = MultiplyAdd(a + 1 * Lane, left, right, l1, r1);
            if (TRows.Value > 2) (l2, r2) = MultiplyAdd(a + 2 * Lane, left, right, l2, r2);
            if (TRows.Value > 3) (l3, r3) = MultiplyAdd(a + 3 * Lane, left, right, l3, r3);
            if (TRows.Value > 4) (l4, r4) = MultiplyAdd(a + 4 * Lane, left, right, l4, r4);
            if (TRows.Value > 5) (l5, r5) = MultiplyAdd(a + 5 * Lane, left, right, l5, r5);
            a += aStride;
            b += bStride;
        }

        float* c = arguments->C + column;
        Store(c + 0 * TileKernel.Columns, l0, r0);
        if (TRows.Value > 1) Store(c + 1 * TileKernel.Columns, l1, r1);
        if (TRows.Value > 2) Store(c + 2 * TileKernel.Columns, l2, r2);
        if (TRows.Value > 3) Store(c + 3 * TileKernel.Columns, l3, r3);
        if (TRows.Value > 4) Store(c + 4 * TileKernel.Columns, l4, r4);
        if (TRows.Value > 5) Store(c + 5 * TileKernel.Columns, l5, r5);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TVector Left, TVector Right) MultiplyAdd(byte* a, TVector left, TVector right, TVector sumLeft, TVector sumRight) =>
        (TLanes.MultiplyAdd(a, left, sumLeft), TLanes.MultiplyAdd(a, right, sumRight));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, TVector left, TVector right)
    {
        TLanes.Store(left, c);
        TLanes.Store(right, c + TLanes.Count);
    }
}
