using System.Buffers;
using System.Text;

namespace MoeSharp.Training;

/// <summary>
/// The 256 printable characters that byte-level BPE writes bytes with: a byte that is a visible Latin-1 character stands for itself,
/// the others are numbered from U+0100 on, so that a space is 'Ġ' and a line feed 'Ċ' (GPT-2, <c>encoder.py</c>, <c>bytes_to_unicode</c>).
/// </summary>
internal static class ByteAlphabet
{
    private const int Limit = 0x144;                     // the largest of the 256 characters is U+0143

    private static readonly char[] ByteToCharacter = Build();
    private static readonly short[] CharacterToByte = Invert(ByteToCharacter);

    /// <summary>The characters in ascending order: the order of their ids in a trained vocabulary.</summary>
    public static IReadOnlyList<char> Sorted { get; } = [.. ByteToCharacter.Order()];

    /// <summary>The character that stands for a byte.</summary>
    public static char ToCharacter(byte value) => ByteToCharacter[value];

    /// <summary>The text's UTF-8 bytes, a character each.</summary>
    public static string Encode(ReadOnlySpan<char> text)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        var count = Encoding.UTF8.GetBytes(text, buffer);
        var encoded = string.Create(count, buffer, static (characters, bytes) =>
        {
            for (var i = 0; i < characters.Length; i++) characters[i] = ByteToCharacter[bytes[i]];
        });

        ArrayPool<byte>.Shared.Return(buffer);
        return encoded;
    }

    /// <summary>The bytes that a token stands for; one with any other character (an added token with a space) is its own UTF-8.</summary>
    public static byte[] Decode(string token)
    {
        var bytes = new byte[token.Length];

        for (var i = 0; i < token.Length; i++)
        {
            var value = token[i] < Limit ? CharacterToByte[token[i]] : (short)-1;
            if (value < 0) return Encoding.UTF8.GetBytes(token);
            bytes[i] = (byte)value;
        }

        return bytes;
    }

    private static char[] Build()
    {
        var characters = new char[256];
        var next = (char)0x100;

        for (var value = 0; value < 256; value++)
        {
            var isVisible = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            characters[value] = isVisible ? (char)value : next++;
        }

        return characters;
    }

    private static short[] Invert(char[] characters)
    {
        var bytes = new short[Limit];
        Array.Fill(bytes, (short)-1);
        for (var value = 0; value < 256; value++) bytes[characters[value]] = (short)value;

        return bytes;
    }
}
