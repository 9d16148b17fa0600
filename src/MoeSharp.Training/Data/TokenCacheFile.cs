using System.Buffers;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace MoeSharp.Training;

/// <summary>A token cache file: a header, the held-out tokens, the tokens to train on.</summary>
internal sealed class TokenCacheFile : IDisposable
{
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;

    private TokenCacheFile(FileStream stream, TokenCacheHeader header)
    {
        Header = header;
        _map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        _view = _map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    public TokenCacheHeader Header { get; }

    /// <summary>Opens a file; null when it is missing, damaged, or made of something else: then it must be made anew.</summary>
    public static TokenCacheFile? TryOpen(string path, byte[] key)
    {
        if (OpenFile(path) is not { } stream) return null;

        var start = new byte[TokenCacheHeader.Size];
        var header = TokenCacheHeader.Parse(start.AsSpan(0, stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)));

        if (header is not null && header.Key.AsSpan().SequenceEqual(key) && IsWhole(stream, header)) return new(stream, header);

        stream.Dispose();
        return null;
    }

    /// <summary>Writes a file: the tokens as they come, then the header that describes them.</summary>
    public static void Write(Stream stream, byte[] key, HeldOutSplit split, CorpusEncoder encoder, double gzipBitsPerByte)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var counts = new long[2];                                               // held out, to train on
        var text = 0;

        stream.Position = TokenCacheHeader.Size;
        foreach (var ids in encoder.Encode(split))
        {
            var bytes = encoder.TokenWidth == sizeof(int)
                ? MemoryMarshal.AsBytes(ids.AsSpan())
                : MemoryMarshal.AsBytes(Array.ConvertAll(ids, id => (ushort)id).AsSpan());
            hash.AppendData(bytes);
            stream.Write(bytes);
            counts[text++ < split.HeldOut.Count ? 0 : 1] += ids.Length;
        }

        stream.Position = 0;
        stream.Write(new TokenCacheHeader
        {
            TokenWidth = encoder.TokenWidth,
            HeldOutCount = counts[0],
            TrainCount = counts[1],
            HeldOutBytes = split.HeldOut.Sum(held => (long)Encoding.UTF8.GetByteCount(held.Text)),
            GzipBitsPerByte = gzipBitsPerByte,
            Key = key,
            Checksum = hash.GetHashAndReset(),
        }.ToBytes());
    }

    public TokenSequence Sequence(long first, long count) => new(this, first, count);

    /// <summary>Copies tokens, counted from the first one in the file.</summary>
    public void Read(long first, Span<long> destination)
    {
        if (Header.TokenWidth == sizeof(ushort)) Read<ushort>(first, destination, static token => token);
        else Read<int>(first, destination, static token => token);
    }

    public void Dispose()
    {
        _view.Dispose();
        _map.Dispose();
    }

    // the stream stands behind the header
    private static bool IsWhole(FileStream stream, TokenCacheHeader header) =>
        header.FileLength == stream.Length && SHA256.HashData(stream).AsSpan().SequenceEqual(header.Checksum);

    private static FileStream? OpenFile(string path)
    {
        try
        {
            // others may replace the file while it is mapped
            return new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private void Read<T>(long first, Span<long> destination, Func<T, long> widen)
        where T : unmanaged
    {
        var tokens = ArrayPool<T>.Shared.Rent(destination.Length);
        var offset = (ulong)(TokenCacheHeader.Size + first * Header.TokenWidth);
        _view.SafeMemoryMappedViewHandle.ReadSpan(offset, tokens.AsSpan(0, destination.Length));
        for (var i = 0; i < destination.Length; i++) destination[i] = widen(tokens[i]);

        ArrayPool<T>.Shared.Return(tokens);
    }
}
