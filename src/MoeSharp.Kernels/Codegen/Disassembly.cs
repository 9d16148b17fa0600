using System.Globalization;
using Iced.Intel;

namespace MoeSharp;

/// <summary>Machine code as text, one instruction a line, in the syntax of nasm.</summary>
internal static class Disassembly
{
    /// <summary>Each line holds the offset, the bytes and the instruction.</summary>
    public static IEnumerable<string> Lines(byte[] code)
    {
        var formatter = new NasmFormatter(new FormatterOptions { FirstOperandCharIndex = 13, SpaceAfterOperandSeparator = true, BranchLeadingZeros = false, HexPrefix = "0x", HexSuffix = "", UppercaseHex = false });
        var decoder = Decoder.Create(64, code);
        while (decoder.IP < (ulong)code.Length)
        {
            var instruction = decoder.Decode();
            var text = new StringOutput();
            formatter.Format(instruction, text);
            string bytes = Convert.ToHexStringLower(code.AsSpan((int)instruction.IP, instruction.Length));
            yield return string.Create(CultureInfo.InvariantCulture, $"{instruction.IP:x4}  {bytes,-22}  {text.ToStringAndReset()}");
        }
    }
}
