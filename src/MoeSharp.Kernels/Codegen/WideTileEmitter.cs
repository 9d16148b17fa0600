using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MoeSharp;

/// <summary>Writes the machine code of one bfloat16 tile of few rows by several panels.</summary>
/// <remarks>
/// <code>
///   rdx, r9, r10, r11   the panels
///   zmm                 the sums [panel][row], the lanes of A of all rows, and the two vectors of a panel
/// </code>
/// </remarks>
internal sealed class WideTileEmitter : RowTileEmitter
{
    private const int PanelStep = 64;      // a field that only TileArguments has

    private static readonly AssemblerRegister64[] Panels = [rdx, r9, r10, r11];

    private readonly int _rows, _panels;

    private WideTileEmitter(int rows, int panels, CallConvention convention)
        : base(rows * panels, convention)
    {
        (_rows, _panels) = (rows, panels);
    }

    protected override IEnumerable<AssemblerRegister64> Used => [];

    protected override int SpareVectors => _rows + 2;

    /// <summary>The code of a tile of so many rows and panels.</summary>
    public static byte[] Emit(int rows, int panels, CallConvention convention) => new WideTileEmitter(rows, panels, convention).Emit();

    protected override void LoadArguments()
    {
        base.LoadArguments();
        Code.mov(rax, __qword_ptr[rdi + PanelStep]);
        for (int panel = 1; panel < _panels; panel++) Code.lea(Panels[panel], __[Panels[panel - 1] + rax]);
    }

    protected override void SumOverDepth()
    {
        Label one = Code.CreateLabel(), done = Code.CreateLabel();

        Code.test(rcx, rcx);
        Code.jz(done);

        Code.Label(ref one);
        Step();
        Code.add(r8, Lane);
        for (int panel = 0; panel < _panels; panel++) Code.add(Panels[panel], RowOfB);
        Code.dec(rcx);
        Code.jnz(one);

        Code.Label(ref done);
    }

    private void Step()
    {
        for (int row = 0; row < _rows; row++) Code.vbroadcastss(Spare(2 + row), LaneOfA(row, 0));

        for (int panel = 0; panel < _panels; panel++)
        {
            Code.vmovups(Spare(0), __zmmword_ptr[Panels[panel]]);
            Code.vmovups(Spare(1), __zmmword_ptr[Panels[panel] + Vector]);
            for (int row = 0; row < _rows; row++)
            {
                Code.vdpbf16ps(Left(panel * _rows + row), Spare(2 + row), Spare(0));
                Code.vdpbf16ps(Right(panel * _rows + row), Spare(2 + row), Spare(1));
            }
        }
    }
}
