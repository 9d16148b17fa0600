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

/// <summary>Writes the machine code of one bfloat16 tile, for a number of rows and a way of prefetching: vdpbf16ps, two vectors of 16 columns.</summary>
/// <remarks>
/// <code>
///   rdi       TileArguments*                                            zmm, from 16 on, then 0 to 15:
///   rsi, r9, r10, r11, rax   rows 0, 3, 6, 9, 12 of A                     2 · rows sums: left and right of each row
///   r8        bytes from a row to the next                                2 vectors of B
///   rdx       B          rcx   lanes of depth left                        1 to 3 lanes of A, each for all columns
///   rbx, r12  what to fetch next, and its step
/// </code>
/// The code is one function without calls, stack or branches but the loop's. It needs nothing fixed up and runs at any address.
/// </remarks>
internal sealed class TileEmitter
{
    private const int Unroll = 4;
    private const int Lane = 4;
    private const int Vector = 64;
    private const int RowOfB = TileKernel.Columns * Lane;
    private const int Ahead = 4096;

    // the fields of TileArguments
    private const int A = 0, AStride = 8, B = 16, C = 24, Depth = 32, Prefetch = 40, PrefetchStep = 48;

    private static readonly AssemblerRegister64[] ThreeRows = [rsi, r9, r10, r11, rax];

    private readonly Assembler _code = new(64);
    private readonly int _rows;
    private readonly TilePrefetch _prefetch;
    private readonly CallConvention _convention;
    private readonly int _values; // registers for lanes of A

    private TileEmitter(int rows, TilePrefetch prefetch, CallConvention convention)
    {
        (_rows, _prefetch, _convention) = (rows, prefetch, convention);
        _values = Math.Min(3, 32 - 2 * rows - 2);
    }

    /// <summary>The convention of this system.</summary>
    public static CallConvention Native => OperatingSystem.IsWindows() ? CallConvention.Windows : CallConvention.SystemV;

    /// <summary>The code of a tile of 1 to 14 rows.</summary>
    public static byte[] Emit(int rows, TilePrefetch prefetch, CallConvention convention) => new TileEmitter(rows, prefetch, convention).Emit();

    private byte[] Emit()
    {
        Enter();
        LoadArguments();
        ClearSums();
        SumOverDepth();
        StoreSums();
        Leave();

        using var bytes = new MemoryStream();
        _code.Assemble(new StreamCodeWriter(bytes), rip: 0);
        return bytes.ToArray();
    }

    private void LoadArguments()
    {
        _code.mov(rsi, __qword_ptr[rdi + A]);
        _code.mov(r8, __qword_ptr[rdi + AStride]);
        _code.mov(rdx, __qword_ptr[rdi + B]);
        _code.mov(rcx, __qword_ptr[rdi + Depth]);
        if (_prefetch == TilePrefetch.Next)
        {
            _code.mov(rbx, __qword_ptr[rdi + Prefetch]);
            _code.mov(r12, __qword_ptr[rdi + PrefetchStep]);
        }

        for (int row = 3; row < _rows; row += 3)
        {
            _code.lea(ThreeRows[row / 3], __[ThreeRows[row / 3 - 1] + r8 * 2]);
            _code.add(ThreeRows[row / 3], r8);
        }
    }

    private void ClearSums()
    {
        for (int row = 0; row < _rows; row++)
        {
            _code.vpxord(Left(row), Left(row), Left(row));
            _code.vpxord(Right(row), Right(row), Right(row));
        }
    }

    private void SumOverDepth()
    {
        Label four = _code.CreateLabel(), rest = _code.CreateLabel(), one = _code.CreateLabel(), done = _code.CreateLabel();

        _code.sub(rcx, Unroll);
        _code.jl(rest);

        _code.Label(ref four);
        for (int k = 0; k < Unroll; k++) MultiplyAdd(k);
        Advance(Unroll);
        _code.sub(rcx, Unroll);
        _code.jge(four);

        _code.Label(ref rest);
        _code.add(rcx, Unroll);
        _code.jz(done);

        _code.Label(ref one);
        MultiplyAdd(0);
        Advance(1);
        _code.dec(rcx);
        _code.jnz(one);

        _code.Label(ref done);
    }

    /// <summary>sum[m, n] += A[m, k] · B[k, n] for all m and n, with k counted from where the pointers stand.</summary>
    private void MultiplyAdd(int k)
    {
        if (_prefetch == TilePrefetch.Own)
        {
            _code.prefetcht0(__byte_ptr[rdx + (k * RowOfB + Ahead)]);
            _code.prefetcht0(__byte_ptr[rdx + (k * RowOfB + Ahead + Vector)]);
        }

        if (_prefetch == TilePrefetch.Next)
        {
            _code.prefetcht1(__byte_ptr[rbx]);
            _code.add(rbx, r12);
        }

        _code.vmovups(BLeft, __zmmword_ptr[rdx + k * RowOfB]);
        _code.vmovups(BRight, __zmmword_ptr[rdx + (k * RowOfB + Vector)]);
        for (int row = 0; row < _rows; row++)
        {
            _code.vbroadcastss(Value(row), LaneOfA(row, k));
            _code.vdpbf16ps(Left(row), Value(row), BLeft);
            _code.vdpbf16ps(Right(row), Value(row), BRight);
        }
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
        _code.add(rdx, lanes * RowOfB);
        for (int row = 0; row < _rows; row += 3) _code.add(ThreeRows[row / 3], lanes * Lane);
    }

    private void StoreSums()
    {
        _code.mov(rdx, __qword_ptr[rdi + C]);
        for (int row = 0; row < _rows; row++)
        {
            _code.vmovups(__zmmword_ptr[rdx + row * RowOfB], Left(row));
            _code.vmovups(__zmmword_ptr[rdx + (row * RowOfB + Vector)], Right(row));
        }
    }

    private void Enter()
    {
        foreach (var register in SavedRegisters()) _code.push(register);
        if (_convention != CallConvention.Windows) return;

        _code.mov(rdi, rcx);
        if (SavedVectors == 0) return;

        _code.sub(rsp, SavedVectors * 16);
        for (int i = 0; i < SavedVectors; i++) _code.vmovups(__xmmword_ptr[rsp + i * 16], Xmm(6 + i));
    }

    private void Leave()
    {
        for (int i = 0; i < SavedVectors; i++) _code.vmovups(Xmm(6 + i), __xmmword_ptr[rsp + i * 16]);
        if (SavedVectors > 0) _code.add(rsp, SavedVectors * 16);
        _code.vzeroupper(); // or SSE code that follows is slow; keeps the lower halves
        foreach (var register in SavedRegisters().Reverse()) _code.pop(register);
        _code.ret();
    }

    private IEnumerable<AssemblerRegister64> SavedRegisters()
    {
        if (_convention == CallConvention.Windows) yield return rsi;
        if (_convention == CallConvention.Windows) yield return rdi;
        if (_prefetch == TilePrefetch.Next) yield return rbx;
        if (_prefetch == TilePrefetch.Next) yield return r12;
    }

    // xmm6 and up are the last that Zmm gives out
    private int SavedVectors => _convention == CallConvention.Windows ? Math.Max(0, 2 * _rows + 2 + _values - 22) : 0;

    private AssemblerRegisterZMM BLeft => Zmm(2 * _rows);

    private AssemblerRegisterZMM BRight => Zmm(2 * _rows + 1);

    private AssemblerRegisterZMM Value(int row) => Zmm(2 * _rows + 2 + row % _values);

    private static AssemblerRegisterZMM Left(int row) => Zmm(2 * row);

    private static AssemblerRegisterZMM Right(int row) => Zmm(2 * row + 1);

    private static AssemblerRegisterZMM Zmm(int index) => new(Register.ZMM0 + (index + 16) % 32);

    private static AssemblerRegisterXMM Xmm(int number) => new(Register.XMM0 + number);
}
