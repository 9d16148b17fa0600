using System.Text;

namespace MoeSharp.Training;

/// <summary>Decodes files.</summary>
internal static class TextEncoding
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly UnicodeEncoding Utf16 = new(bigEndian: false, byteOrderMark: false, throwOnInvalidBytes: true);
    private static readonly UnicodeEncoding Utf16BigEndian = new(bigEndian: true, byteOrderMark: false, throwOnInvalidBytes: true);

    /// <summary>The text of UTF-8 with or without a byte order mark or UTF-16 with one; null for anything else, which is taken for binary.</summary>
    public static string? Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return bytes switch
            {
                [0xFF, 0xFE, .. var rest] => Utf16.GetString(rest),
                [0xFE, 0xFF, .. var rest] => Utf16BigEndian.GetString(rest),
                [0xEF, 0xBB, 0xBF, .. var rest] => Text(rest),
                _ => Text(bytes),
            };
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    private static string? Text(ReadOnlySpan<byte> bytes) => bytes.Contains((byte)0) ? null : Utf8.GetString(bytes);
}
