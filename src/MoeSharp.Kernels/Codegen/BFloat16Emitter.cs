using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MoeSharp;

/// <summary>How a caller passes its first argument, and what it expects back unchanged.</summary>
internal enum CallConvention
{
    /// <summary>Linux and macOS: the argument in rdi; rbx, rbp and r12 to r15 are the caller's.</summary>
    SystemV,

    /// <summary>Windows: the argument in rcx; rsi, rdi and xmm6 to xmm15 are the caller's too.</summary>
    Windows,
}

/// <summary>What the machine code of every bfloat16 product has: vdpbf16ps, a number of rows by two vectors of 16 columns.</summary>
/// <remarks>
/// <code>
///   rdi   the arguments, A first, then B and C at the same places     zmm, from 16 on, then 0 to 15:
///                                                                       2 · rows sums: left and right of each row
///                                                                       2 vectors of B
///                                                                       1 to 3 lanes of A, each for all columns
/// </code>
/// The code is one function without calls, stack or branches but the loop's. It needs nothing fixed up and runs at any address.
/// </remarks>
internal abstract class BFloat16Emitter(int rows, CallConvention convention)
{
    protected const int Lane = 4, Vector = 64, RowOfB = TileKernel.Columns * Lane;

    // the fields that all arguments have
    protected const int A = 0, AStride = 8, B = 16, C = 24, Depth = 32;

    private int Values => SpareVectors - 2;     // registers for lanes of A

    /// <summary>The convention of this system.</summary>
    public static CallConvention Native => OperatingSystem.IsWindows() ? CallConvention.Windows : CallConvention.SystemV;

    protected Assembler Code { get; } = new(64);

    protected int Rows => rows;

    /// <summary>Vectors beside the sums: two of B, and some lanes of A.</summary>
    protected virtual int SpareVectors => Math.Min(5, 32 - 2 * rows);

    /// <summary>Registers of the caller that the loop uses.</summary>
    protected abstract IEnumerable<AssemblerRegister64> Used { get; }

    protected byte[] Emit()
    {
        Enter();
        LoadArguments();
        ClearSums();
        SumOverDepth();
        StoreSums();
        Leave();

        using var bytes = new MemoryStream();
        Code.Assemble(new StreamCodeWriter(bytes), rip: 0);
        return bytes.ToArray();
    }

    protected abstract void LoadArguments();

    protected abstract void SumOverDepth();

    /// <summary>sum[m, n] += A[m, k] · B[k, n] for all m and n of a step.</summary>
    protected void MultiplyAdd(int bytesOfB, Func<int, AssemblerMemoryOperand> laneOfA)
    {
        var (left, right) = (Spare(0), Spare(1));
        Code.vmovups(left, __zmmword_ptr[rdx + bytesOfB]);
        Code.vmovups(right, __zmmword_ptr[rdx + (bytesOfB + Vector)]);
        for (int row = 0; row < rows; row++)
        {
            var value = Spare(2 + row % Values);
            Code.vbroadcastss(value, laneOfA(row));
            Code.vdpbf16ps(Left(row), value, left);
            Code.vdpbf16ps(Right(row), value, right);
        }
    }

    private void ClearSums()
    {
        for (int row = 0; row < rows; row++)
        {
            Code.vpxord(Left(row), Left(row), Left(row));
            Code.vpxord(Right(row), Right(row), Right(row));
        }
    }

    private void StoreSums()
    {
        Code.mov(rdx, __qword_ptr[rdi + C]);
        for (int row = 0; row < rows; row++)
        {
            Code.vmovups(__zmmword_ptr[rdx + row * RowOfB], Left(row));
            Code.vmovups(__zmmword_ptr[rdx + (row * RowOfB + Vector)], Right(row));
        }
    }

    private void Enter()
    {
        foreach (var register in SavedRegisters()) Code.push(register);
        if (convention != CallConvention.Windows) return;

        Code.mov(rdi, rcx);
        if (SavedVectors == 0) return;

        Code.sub(rsp, SavedVectors * 16);
        for (int i = 0; i < SavedVectors; i++) Code.vmovups(__xmmword_ptr[rsp + i * 16], Xmm(6 + i));
    }

    private void Leave()
    {
        for (int i = 0; i < SavedVectors; i++) Code.vmovups(Xmm(6 + i), __xmmword_ptr[rsp + i * 16]);
        if (SavedVectors > 0) Code.add(rsp, SavedVectors * 16);
        Code.vzeroupper(); // or SSE code that follows is slow; keeps the lower halves
        foreach (var register in SavedRegisters().Reverse()) Code.pop(register);
        Code.ret();
    }

    private IEnumerable<AssemblerRegister64> SavedRegisters() =>
        convention == CallConvention.Windows ? Used.Prepend(rdi).Prepend(rsi) : Used;

    // xmm6 and up are the last that Zmm gives out
    private int SavedVectors => convention == CallConvention.Windows ? Math.Max(0, 2 * rows + SpareVectors - 22) : 0;

    protected AssemblerRegisterZMM Spare(int number) => Zmm(2 * rows + number);

    protected static AssemblerRegisterZMM Left(int row) => Zmm(2 * row);

    protected static AssemblerRegisterZMM Right(int row) => Zmm(2 * row + 1);

    private static AssemblerRegisterZMM Zmm(int index) => new(Register.ZMM0 + (index + 16) % 32);

    private static AssemblerRegisterXMM Xmm(int number) => new(Register.XMM0 + number);
}
