using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MoeSharp;

/// <summary>What the code of tiles has in common, whose rows lie anywhere.</summary>
/// <remarks>
/// <code>
///   rdi       TileArguments*
///   rsi       where rows of A lie; each in turn is loaded to rax, which costs nothing beside two products of a vector
///   r8        the byte of every row where it is read
///   rdx       B          rcx   lanes of depth left
/// </code>
/// </remarks>
internal abstract class RowTileEmitter(int rows, CallConvention convention) : BFloat16Emitter(rows, convention)
{
    private const int Pointer = 8, Start = 8;      // Start: where the arguments of other products have the stride of A

    protected override void LoadArguments()
    {
        Code.mov(rsi, __qword_ptr[rdi + A]);
        Code.mov(r8, __qword_ptr[rdi + Start]);
        Code.mov(rdx, __qword_ptr[rdi + B]);
        Code.mov(rcx, __qword_ptr[rdi + Depth]);
    }

    /// <summary>A lane of a row, counted from where the row is read.</summary>
    protected AssemblerMemoryOperand LaneOfA(int row, int lane)
    {
        Code.mov(rax, __qword_ptr[rsi + row * Pointer]);
        return __dword_ptr[rax + r8 + lane * Lane];
    }
}
