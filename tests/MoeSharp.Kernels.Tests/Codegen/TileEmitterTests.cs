using Iced.Intel;

namespace MoeSharp.Kernels.Tests;

/// <summary>The machine code of tiles and outer products itself, on any processor: its instructions, and what it leaves as it found it.</summary>
public sealed class TileEmitterTests
{
    [Fact]
    public void Emit_OneRow_IsThisCode() => Assert.Equal(
        """
        0000  488b37                  mov          rsi, [rdi]
        0003  4c8b4708                mov          r8, [rdi+8]
        0007  488b5710                mov          rdx, [rdi+0x10]
        000b  488b4f20                mov          rcx, [rdi+0x20]
        000f  62a17d40efc0            vpxord       zmm16, zmm16, zmm16
        0015  62a17540efc9            vpxord       zmm17, zmm17, zmm17
        001b  4883e904                sub          rcx, 4
        001f  0f8c97000000            jl           near 0xbc
        0025  62e17c481012            vmovups      zmm18, [rdx]
        002b  62e17c48105a01          vmovups      zmm19, [rdx+0x40]
        0032  62e27d481826            vbroadcastss zmm20, [rsi]
        0038  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        003e  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        0044  62e17c48105202          vmovups      zmm18, [rdx+0x80]
        004b  62e17c48105a03          vmovups      zmm19, [rdx+0xc0]
        0052  62e27d48186601          vbroadcastss zmm20, [rsi+4]
        0059  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        005f  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        0065  62e17c48105204          vmovups      zmm18, [rdx+0x100]
        006c  62e17c48105a05          vmovups      zmm19, [rdx+0x140]
        0073  62e27d48186602          vbroadcastss zmm20, [rsi+8]
        007a  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        0080  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        0086  62e17c48105206          vmovups      zmm18, [rdx+0x180]
        008d  62e17c48105a07          vmovups      zmm19, [rdx+0x1c0]
        0094  62e27d48186603          vbroadcastss zmm20, [rsi+0xc]
        009b  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        00a1  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        00a7  4881c200020000          add          rdx, 0x200
        00ae  4883c610                add          rsi, 0x10
        00b2  4883e904                sub          rcx, 4
        00b6  0f8d69ffffff            jge          near 0x25
        00bc  4883c104                add          rcx, 4
        00c0  742f                    je           short 0xf1
        00c2  62e17c481012            vmovups      zmm18, [rdx]
        00c8  62e17c48105a01          vmovups      zmm19, [rdx+0x40]
        00cf  62e27d481826            vbroadcastss zmm20, [rsi]
        00d5  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        00db  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        00e1  4881c280000000          add          rdx, 0x80
        00e8  4883c604                add          rsi, 4
        00ec  48ffc9                  dec          rcx
        00ef  75d1                    jne          short 0xc2
        00f1  488b5718                mov          rdx, [rdi+0x18]
        00f5  62e17c481102            vmovups      [rdx], zmm16
        00fb  62e17c48114a01          vmovups      [rdx+0x40], zmm17
        0102  c5f877                  vzeroupper
        0105  c3                      ret
        """,
        string.Join('\n', Disassembly.Lines(TileEmitter.Emit(1, TilePrefetch.None, CallConvention.SystemV))));

    [Fact]
    public void Emit_OuterProductOfOneRow_IsThisCode() => Assert.Equal(
        """
        0000  53                      push         rbx
        0001  488b37                  mov          rsi, [rdi]
        0004  4c8b4708                mov          r8, [rdi+8]
        0008  488b5710                mov          rdx, [rdi+0x10]
        000c  488b5f28                mov          rbx, [rdi+0x28]
        0010  488b4f20                mov          rcx, [rdi+0x20]
        0014  62a17d40efc0            vpxord       zmm16, zmm16, zmm16
        001a  62a17540efc9            vpxord       zmm17, zmm17, zmm17
        0020  4885c9                  test         rcx, rcx
        0023  7e2a                    jle          short 0x4f
        0025  62e17c481012            vmovups      zmm18, [rdx]
        002b  62e17c48105a01          vmovups      zmm19, [rdx+0x40]
        0032  62e27d481826            vbroadcastss zmm20, [rsi]
        0038  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        003e  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        0044  4c01c6                  add          rsi, r8
        0047  4801da                  add          rdx, rbx
        004a  48ffc9                  dec          rcx
        004d  75d6                    jne          short 0x25
        004f  488b5718                mov          rdx, [rdi+0x18]
        0053  62e17c481102            vmovups      [rdx], zmm16
        0059  62e17c48114a01          vmovups      [rdx+0x40], zmm17
        0060  c5f877                  vzeroupper
        0063  5b                      pop          rbx
        0064  c3                      ret
        """,
        string.Join('\n', Disassembly.Lines(OuterEmitter.Emit(1, CallConvention.SystemV))));

    [Fact]
    public void Emit_AnyTile_MultipliesEachRowTwiceAStep() => ForEachTile((rows, steps, _, code) =>
        Assert.Equal(2 * rows * steps, code.Count(instruction => instruction.Mnemonic == Mnemonic.Vdpbf16ps)));

    [Fact]
    public void Emit_AnyTile_IsOneFunctionWithoutCalls() => ForEachTile((_, _, _, code) =>
    {
        Assert.All(code[..^1], instruction => Assert.True(instruction.FlowControl is FlowControl.Next or FlowControl.ConditionalBranch));
        Assert.Equal(Mnemonic.Ret, code[^1].Mnemonic);
    });

    [Fact]
    public void Emit_AnyTile_ChangesNoRegisterOfTheCaller() => ForEachTile((_, _, convention, code) =>
    {
        var kept = convention == CallConvention.SystemV ? KeptBySystemV : KeptByWindows;
        var written = code.SelectMany(Written).ToHashSet();
        var restored = code.SkipWhile(instruction => instruction.Mnemonic != Mnemonic.Vzeroupper).Where(instruction => instruction.Mnemonic == Mnemonic.Pop).Select(instruction => instruction.Op0Register)
            .Concat(code.Where(instruction => instruction is { Mnemonic: Mnemonic.Vmovups, MemoryBase: Register.RSP, Op0Kind: OpKind.Register }).Select(instruction => instruction.Op0Register));

        Assert.Equal(written.Intersect(kept).Order(), restored.Order());
    });

    [Fact]
    public void Emit_AnyTile_LeavesTheStackAsItWas() => ForEachTile((_, _, _, code) =>
    {
        var pushed = code.Where(instruction => instruction.Mnemonic == Mnemonic.Push).Select(instruction => instruction.Op0Register);
        var popped = code.Where(instruction => instruction.Mnemonic == Mnemonic.Pop).Select(instruction => instruction.Op0Register);
        var moves = code.Where(instruction => instruction is { Op0Kind: OpKind.Register, Op0Register: Register.RSP }).Select(instruction => (instruction.Mnemonic, instruction.GetImmediate(1))).ToArray();

        Assert.Equal(pushed.Reverse(), popped);
        if (moves.Length > 0) Assert.Equal([(Mnemonic.Sub, moves[0].Item2), (Mnemonic.Add, moves[0].Item2)], moves);
    });

    private static readonly Register[] KeptBySystemV = [Register.RBX, Register.RBP, Register.R12, Register.R13, Register.R14, Register.R15];

    private static readonly Register[] KeptByWindows = [.. KeptBySystemV, Register.RSI, Register.RDI, .. Enumerable.Range(6, 10).Select(number => Register.XMM0 + number)];

    // of tiles four steps are unrolled, and there is one for the rest
    private static void ForEachTile(Action<int, int, CallConvention, Instruction[]> check)
    {
        for (int rows = 1; rows <= 14; rows++)
        {
            foreach (var convention in Enum.GetValues<CallConvention>())
            {
                foreach (var prefetch in Enum.GetValues<TilePrefetch>()) check(rows, 4 + 1, convention, Decode(TileEmitter.Emit(rows, prefetch, convention)));
                check(rows, 1, convention, Decode(OuterEmitter.Emit(rows, convention)));
            }
        }
    }

    private static Instruction[] Decode(byte[] code)
    {
        Instruction[] instructions = [.. Decoder.Create(64, code)];
        Assert.DoesNotContain(instructions, instruction => instruction.IsInvalid);
        return instructions;
    }

    // vectors by their lower quarter, which is all that a caller may rely on
    private static IEnumerable<Register> Written(Instruction instruction) =>
        from used in new InstructionInfoFactory().GetInfo(instruction).GetUsedRegisters()
        where used.Access is OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite && used.Register != Register.RSP && instruction.Mnemonic != Mnemonic.Vzeroupper
        select used.Register.IsVectorRegister() ? Register.XMM0 + used.Register.GetNumber() : used.Register.GetFullRegister();
}
