using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MoeSharp;

/// <summary>Writes the machine code of one bfloat16 tile, for a number of rows and a way of prefetching.</summary>
/// <remarks>
/// <code>
///   rbx, r12  what to fetch next, and its step
/// </code>
/// </remarks>
internal sealed class TileEmitter : RowTileEmitter
{
    private const int Unroll = 4;
    private const int Ahead = 4096;

    private const int Prefetch = 40, PrefetchStep = 48;     // fields that only TileArguments has

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
        base.LoadArguments();
        if (_prefetch == TilePrefetch.Next)
        {
            Code.mov(rbx, __qword_ptr[rdi + Prefetch]);
            Code.mov(r12, __qword_ptr[rdi + PrefetchStep]);
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

    private void Advance(int lanes)
    {
        Code.add(rdx, lanes * RowOfB);
        Code.add(r8, lanes * Lane);
    }
}
