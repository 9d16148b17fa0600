using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MoeSharp.Cli;

/// <summary>Chains of vdpbf16ps, which .NET has no intrinsic for.</summary>
internal static class BFloat16Chains
{
    private const int Chains = 14;      // with two factors the registers zmm16 to zmm31, which no calling convention makes a function keep
    private const int FlopsPerInstruction = 16 * 2 * 2;

    private static readonly Lazy<nint> Published = new(() => new BFloat16Avx512().IsSupported ? ExecutableMemory.TryPublish(Emit(TileEmitter.Native)) : 0);

    /// <summary>A function of the number of steps; 0 where the processor or the system does not run it.</summary>
    public static nint Address => Published.Value;

    public static double FlopsPerStep => Chains * FlopsPerInstruction;

    /// <summary>The machine code.</summary>
    public static byte[] Emit(CallConvention convention)
    {
        var code = new Assembler(64);
        var steps = convention == CallConvention.Windows ? rcx : rdi;
        for (int i = 0; i < Chains + 2; i++) code.vpxord(Zmm(i), Zmm(i), Zmm(i));

        var loop = code.CreateLabel();
        code.Label(ref loop);
        for (int i = 0; i < Chains; i++) code.vdpbf16ps(Zmm(i), Zmm(Chains), Zmm(Chains + 1));
        code.dec(steps);
        code.jnz(loop);
        code.vzeroupper();
        code.ret();

        using var bytes = new MemoryStream();
        code.Assemble(new StreamCodeWriter(bytes), rip: 0);
        return bytes.ToArray();
    }

    private static AssemblerRegisterZMM Zmm(int index) => new(Register.ZMM16 + index);
}
