using System.Text;

namespace MoeSharp.Training;

/// <summary>
/// Turns a stream of tokens into text as it comes: characters appear as soon as all their bytes are there, never half. Bytes that are no
/// UTF-8 become U+FFFD, and all that was pushed and flushed is together what <see cref="ByteLevelTokenizer.Decode"/> returns. Not thread-safe.
/// </summary>
public sealed class TokenDecoder
{
    private readonly ByteLevelTokenizer _tokenizer;
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    internal TokenDecoder(ByteLevelTokenizer tokenizer) => _tokenizer = tokenizer;

    /// <summary>Takes the next token and returns the text it completes, which may be empty.</summary>
    public string Push(int id) => Convert(_tokenizer.TokenBytes(id), flush: false);

    /// <summary>Ends the text: an unfinished character is returned as U+FFFD. The decoder can be used again for another text.</summary>
    public string Flush() => Convert([], flush: true);

    private string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        Span<char> characters = new char[Encoding.UTF8.GetMaxCharCount(bytes.Length)];
        return new(characters[.._decoder.GetChars(bytes, characters, flush)]);
    }
}
