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
        001f  0f8ca7000000            jl           near 0xcc
        0025  62e17c481012            vmovups      zmm18, [rdx]
        002b  62e17c48105a01          vmovups      zmm19, [rdx+0x40]
        0032  488b06                  mov          rax, [rsi]
        0035  62a27d48182400          vbroadcastss zmm20, [rax+r8]
        003c  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        0042  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        0048  62e17c48105202          vmovups      zmm18, [rdx+0x80]
        004f  62e17c48105a03          vmovups      zmm19, [rdx+0xc0]
        0056  488b06                  mov          rax, [rsi]
        0059  62a27d4818640001        vbroadcastss zmm20, [rax+r8+4]
        0061  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        0067  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        006d  62e17c48105204          vmovups      zmm18, [rdx+0x100]
        0074  62e17c48105a05          vmovups      zmm19, [rdx+0x140]
        007b  488b06                  mov          rax, [rsi]
        007e  62a27d4818640002        vbroadcastss zmm20, [rax+r8+8]
        0086  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        008c  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        0092  62e17c48105206          vmovups      zmm18, [rdx+0x180]
        0099  62e17c48105a07          vmovups      zmm19, [rdx+0x1c0]
        00a0  488b06                  mov          rax, [rsi]
        00a3  62a27d4818640003        vbroadcastss zmm20, [rax+r8+0xc]
        00ab  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        00b1  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        00b7  4881c200020000          add          rdx, 0x200
        00be  4983c010                add          r8, 0x10
        00c2  4883e904                sub          rcx, 4
        00c6  0f8d59ffffff            jge          near 0x25
        00cc  4883c104                add          rcx, 4
        00d0  7433                    je           short 0x105
        00d2  62e17c481012            vmovups      zmm18, [rdx]
        00d8  62e17c48105a01          vmovups      zmm19, [rdx+0x40]
        00df  488b06                  mov          rax, [rsi]
        00e2  62a27d48182400          vbroadcastss zmm20, [rax+r8]
        00e9  62a25e4052c2            vdpbf16ps    zmm16, zmm20, zmm18
        00ef  62a25e4052cb            vdpbf16ps    zmm17, zmm20, zmm19
        00f5  4881c280000000          add          rdx, 0x80
        00fc  4983c004                add          r8, 4
        0100  48ffc9                  dec          rcx
        0103  75cd                    jne          short 0xd2
        0105  488b5718                mov          rdx, [rdi+0x18]
        0109  62e17c481102            vmovups      [rdx], zmm16
        010f  62e17c48114a01          vmovups      [rdx+0x40], zmm17
        0116  c5f877                  vzeroupper
        0119  c3                      ret
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
                int panels = new BFloat16Avx512().PanelsOf(rows);
                if (panels > 1) check(rows * panels, 1, convention, Decode(WideTileEmitter.Emit(rows, panels, convention)));
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
