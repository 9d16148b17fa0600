using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>
/// The tokens of training text and of held-out text, in a memory-mapped file that is kept between runs and named by what it was made of:
/// the texts, the tokenizer, the share. Safe to open by several processes at once; not to be disposed while its sequences are read.
/// </summary>
/// <remarks>
/// The hash of its content decides on which side a document is, so train and held-out never share one; equal documents count once, and their
/// order is that of the hashes. A single document is cut into up to 64 contiguous pieces at line ends. Every document, or piece, is preceded
/// by the end-of-text token, so that each of its own tokens is predicted from something.
/// </remarks>
[DebuggerDisplay("{Train.Count} tokens to train on, {HeldOut.Count} held out")]
public sealed class TokenCorpus : IDisposable
{
    private readonly TokenCacheFile _file;

    private TokenCorpus(TokenCacheFile file, string fingerprint)
    {
        _file = file;
        Fingerprint = fingerprint;
        HeldOut = file.Sequence(0, file.Header.HeldOutCount);
        Train = file.Sequence(file.Header.HeldOutCount, file.Header.TrainCount);
    }

    /// <summary>
    /// Where tokens are kept unless said otherwise: the folder in the environment variable <c>MOESHARP_CACHE</c>, else
    /// <c>$XDG_CACHE_HOME/moesharp</c>, else <c>~/.cache/moesharp</c> (on Windows below the local application data).
    /// </summary>
    public static string DefaultCacheFolder => CacheFolder.Default;

    /// <summary>The tokens to train on.</summary>
    public TokenSequence Train { get; }

    /// <summary>The tokens to measure on.</summary>
    public TokenSequence HeldOut { get; }

    /// <summary>The length of the held-out texts in UTF-8, without the end-of-text tokens: what bits per byte divides by.</summary>
    public long HeldOutBytes => _file.Header.HeldOutBytes;

    /// <summary>Bits per byte of gzip at its highest level on the held-out texts, one behind the other.</summary>
    public double HeldOutGzipBitsPerByte => _file.Header.GzipBitsPerByte;

    /// <summary>The SHA-256 of what the tokens were made of: equal for equal corpora.</summary>
    public string Fingerprint { get; }

    /// <summary>Opens the tokens of the documents; makes them when they are not in the cache, or when what is there is damaged.</summary>
    /// <param name="documents">The texts; empty ones are left out.</param>
    /// <param name="tokenizer">Makes the tokens; it must have an end-of-text token.</param>
    /// <param name="heldOutShare">The share of the documents to hold out, above 0 and below 1; at least one is, and at least one stays.</param>
    /// <param name="cacheFolder">Where the file is kept, such as <see cref="DefaultCacheFolder"/>; made when missing.</param>
    /// <param name="progress">Receives the share that is done, 0 to 1.</param>
    /// <param name="cancellation">Stops the work; nothing half-written stays.</param>
    /// <exception cref="MoeException">
    /// There is too little text for two sides, the tokenizer has no end-of-text token, or the folder cannot be written.
    /// </exception>
    public static TokenCorpus Open(
        IReadOnlyList<TextDocument> documents,
        ByteLevelTokenizer tokenizer,
        double heldOutShare,
        string cacheFolder,
        IProgress<double>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(documents);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentException.ThrowIfNullOrEmpty(cacheFolder);
        if (heldOutShare is not (> 0 and < 1)) throw new MoeException($"The held-out share is {heldOutShare}; it must be above 0 and below 1.");
        var endOfText = tokenizer.EndOfTextId
            ?? throw new MoeException("The tokenizer has no end-of-text token: name one as eos_token in its tokenizer_config.json.");

        var split = HeldOutSplit.Of(documents, heldOutShare, cancellation);
        var key = Key(split, tokenizer, heldOutShare);
        var fingerprint = Convert.ToHexStringLower(key);
        var path = Path.Combine(cacheFolder, $"{fingerprint}.tokens");

        var file = TokenCacheFile.TryOpen(path, key) ?? Build(path, key, split, new(tokenizer, endOfText, progress, cancellation));
        progress?.Report(1);
        return new(file, fingerprint);
    }

    /// <inheritdoc />
    public void Dispose() => _file.Dispose();

    private static byte[] Key(HeldOutSplit split, ByteLevelTokenizer tokenizer, double share)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var parameters = $"{TokenCacheHeader.Version} {tokenizer.Fingerprint} {tokenizer.EndOfTextId} {share:R} {split.HeldOut.Count} ";
        hash.AppendData(Encoding.UTF8.GetBytes(parameters));
        foreach (var text in split.HeldOut.Concat(split.Train)) hash.AppendData(text.Hash);

        return hash.GetHashAndReset();
    }

    private static TokenCacheFile Build(string path, byte[] key, HeldOutSplit split, CorpusEncoder encoder)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            AtomicFile.Write(path, stream => TokenCacheFile.Write(stream, key, split, encoder, GzipBitsPerByte(split.HeldOut)));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new MoeException(
                $"The tokens cannot be kept in {path}: {error.Message} Name another folder in the environment variable MOESHARP_CACHE.", error);
        }

        return TokenCacheFile.TryOpen(path, key)
            ?? throw new MoeException($"The tokens just written to {path} cannot be read back: the disk may be failing.");
    }

    private static double GzipBitsPerByte(IReadOnlyList<HashedText> texts)
    {
        using var compressed = new MemoryStream();
        var bytes = 0L;

        using (var gzip = new GZipStream(compressed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            foreach (var text in texts)
            {
                var content = Encoding.UTF8.GetBytes(text.Text);
                gzip.Write(content);
                bytes += content.Length;
            }
        }

        return compressed.Length * 8.0 / bytes;
    }
}
