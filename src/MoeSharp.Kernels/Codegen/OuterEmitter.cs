using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MoeSharp;

/// <summary>Writes the machine code of one bfloat16 outer product, for a number of rows.</summary>
/// <remarks>
/// <code>
///   rdi   OuterArguments*
///   rsi   A, the lanes of the rows side by side     r8    bytes from two tokens to the next
///   rdx   B                                         rbx   the same of B
///   rcx   lanes of depth left
/// </code>
/// </remarks>
internal sealed class OuterEmitter : BFloat16Emitter
{
    private const int BStride = 40;     // only OuterArguments has it

    private OuterEmitter(int rows, CallConvention convention)
        : base(rows, convention)
    {
    }

    protected override IEnumerable<AssemblerRegister64> Used => [rbx];

    /// <summary>The code of a tile of 1 to 14 rows.</summary>
    public static byte[] Emit(int rows, CallConvention convention) => new OuterEmitter(rows, convention).Emit();

    protected override void LoadArguments()
    {
        Code.mov(rsi, __qword_ptr[rdi + A]);
        Code.mov(r8, __qword_ptr[rdi + AStride]);
        Code.mov(rdx, __qword_ptr[rdi + B]);
        Code.mov(rbx, __qword_ptr[rdi + BStride]);
        Code.mov(rcx, __qword_ptr[rdi + Depth]);
    }

    protected override void SumOverDepth()
    {
        Label step = Code.CreateLabel(), done = Code.CreateLabel();

        Code.test(rcx, rcx);
        Code.jle(done);

        Code.Label(ref step);
        MultiplyAdd(0, row => __dword_ptr[rsi + row * Lane]);
        Code.add(rsi, r8);
        Code.add(rdx, rbx);
        Code.dec(rcx);
        Code.jnz(step);

        Code.Label(ref done);
    }
}
