using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MoeSharp;

/// <summary>Writes the machine code of one bfloat16 tile, for a number of rows and a way of prefetching.</summary>
/// <remarks>
/// <code>
///   rdi       TileArguments*
///   rsi, r9, r10, r11, rax   rows 0, 3, 6, 9, 12 of A
///   r8        bytes from a row to the next
///   rdx       B          rcx   lanes of depth left
///   rbx, r12  what to fetch next, and its step
/// </code>
/// </remarks>
internal sealed class TileEmitter : BFloat16Emitter
{
    private const int Unroll = 4;
    private const int Ahead = 4096;

    // the fields that only TileArguments has
    private const int Prefetch = 40, PrefetchStep = 48;

    private static readonly AssemblerRegister64[] ThreeRows = [rsi, r9, r10, r11, rax];

    private readonly TilePrefetch _prefetch;

    private TileEmitter(int rows, TilePrefetch prefetch, CallConvention convention)
        : base(rows, convention)
    {
        _prefetch = prefetch;
    }

    protected override IEnumerable<AssemblerRegister64> Used => _prefetch == TilePrefetch.Next ? [rbx, r12] : [];

    /// <summary>The code of a tile of 1 to 14 rows.</summary>
    public static byte[] Emit(int rows, TilePrefetch prefetch, CallConvention convention) => new TileEmitter(rows, prefetch, convention).Emit();

    protected override void LoadArguments()
    {
        Code.mov(rsi, __qword_ptr[rdi + A]);
        Code.mov(r8, __qword_ptr[rdi + AStride]);
        Code.mov(rdx, __qword_ptr[rdi + B]);
        Code.mov(rcx, __qword_ptr[rdi + Depth]);
        if (_prefetch == TilePrefetch.Next)
        {
            Code.mov(rbx, __qword_ptr[rdi + Prefetch]);
            Code.mov(r12, __qword_ptr[rdi + PrefetchStep]);
        }

        for (int row = 3; row < Rows; row += 3)
        {
            Code.lea(ThreeRows[row / 3], __[ThreeRows[row / 3 - 1] + r8 * 2]);
            Code.add(ThreeRows[row / 3], r8);
        }
    }

    protected override void SumOverDepth()
    {
        Label four = Code.CreateLabel(), rest = Code.CreateLabel(), one = Code.CreateLabel(), done = Code.CreateLabel();

        Code.sub(rcx, Unroll);
        Code.jl(rest);

        Code.Label(ref four);
        for (int k = 0; k < Unroll; k++) Step(k);
        Advance(Unroll);
        Code.sub(rcx, Unroll);
        Code.jge(four);

        Code.Label(ref rest);
        Code.add(rcx, Unroll);
        Code.jz(done);

        Code.Label(ref one);
        Step(0);
        Advance(1);
        Code.dec(rcx);
        Code.jnz(one);

        Code.Label(ref done);
    }

    // with k counted from where the pointers stand
    private void Step(int k)
    {
        if (_prefetch == TilePrefetch.Own)
        {
            Code.prefetcht0(__byte_ptr[rdx + (k * RowOfB + Ahead)]);
            Code.prefetcht0(__byte_ptr[rdx + (k * RowOfB + Ahead + Vector)]);
        }

        if (_prefetch == TilePrefetch.Next)
        {
            Code.prefetcht1(__byte_ptr[rbx]);
            Code.add(rbx, r12);
        }

        MultiplyAdd(k * RowOfB, row => LaneOfA(row, k));
    }

    private static AssemblerMemoryOperand LaneOfA(int row, int k)
    {
        var three = ThreeRows[row / 3];
        return (row % 3) switch
        {
            0 => __dword_ptr[three + k * Lane],
            1 => __dword_ptr[three + r8 + k * Lane],
            _ => __dword_ptr[three + r8 * 2 + k * Lane],
        };
    }

    private void Advance(int lanes)
    {
        Code.add(rdx, lanes * RowOfB);
        for (int row = 0; row < Rows; row += 3) Code.add(ThreeRows[row / 3], lanes * Lane);
    }
}
