using System.IO.Compression;

namespace MoeSharp.Training;

/// <summary>Reads gzip files, and notices when one is cut short: GZipStream returns the beginning and is silent.</summary>
internal static class GzipFile
{
    // A gzip file may hold several members, one behind the other. One more is put at its end: when the file is whole, what comes out
    // ends with the mark; when it is cut, the mark is taken for a part of the broken member and does not come out.
    private static readonly byte[] Mark = "\0end of the file\0"u8.ToArray();
    private static readonly byte[] CompressedMark = Compress(Mark);

    /// <exception cref="MoeException">The file is damaged, cut short, or no gzip file.</exception>
    public static byte[] Decompress(string path, byte[] bytes)
    {
        try
        {
            using var gzip = new GZipStream(new MemoryStream([.. bytes, .. CompressedMark]), CompressionMode.Decompress);
            using var content = new MemoryStream();
            gzip.CopyTo(content);

            var result = content.GetBuffer().AsSpan(0, (int)content.Length);
            if (bytes.Length > 0 && result.EndsWith(Mark)) return result[..^Mark.Length].ToArray();
        }
        catch (InvalidDataException error)
        {
            throw Damaged(path, error);
        }

        throw Damaged(path, null);
    }

    private static MoeException Damaged(string path, Exception? cause) =>
        new($"{path} is a damaged gzip file: it is cut short or was changed.", cause);

    private static byte[] Compress(byte[] bytes)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal)) gzip.Write(bytes);

        return compressed.ToArray();
    }
}
