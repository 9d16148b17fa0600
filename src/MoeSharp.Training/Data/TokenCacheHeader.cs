using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace MoeSharp.Training;

/// <summary>The first 128 bytes of a token cache file, little-endian; the last 16 of them check the others.</summary>
internal sealed record TokenCacheHeader
{
    public const int Version = 1;
    public const int Size = 128;

    private const int CheckedSize = 112;
    private static readonly byte[] Magic = "MOETOKEN"u8.ToArray();

    public required int TokenWidth { get; init; }

    public required long HeldOutCount { get; init; }

    public required long TrainCount { get; init; }

    public required long HeldOutBytes { get; init; }

    public required double GzipBitsPerByte { get; init; }

    /// <summary>What the tokens were made of, 32 bytes.</summary>
    public required byte[] Key { get; init; }

    /// <summary>The SHA-256 of the tokens.</summary>
    public required byte[] Checksum { get; init; }

    /// <summary>The length of the file.</summary>
    public long FileLength => Size + (HeldOutCount + TrainCount) * TokenWidth;

    public byte[] ToBytes()
    {
        using var stream = new MemoryStream(Size);
        using var writer = new BinaryWriter(stream);
        writer.Write(Magic);
        writer.Write(Version);
        writer.Write(TokenWidth);
        writer.Write(HeldOutCount);
        writer.Write(TrainCount);
        writer.Write(HeldOutBytes);
        writer.Write(GzipBitsPerByte);
        writer.Write(Key);
        writer.Write(Checksum);
        writer.Write(SHA256.HashData(stream.ToArray()).AsSpan(0, Size - CheckedSize));

        return stream.ToArray();
    }

    /// <summary>The header in the bytes; null when they are no header of this version, or damaged.</summary>
    public static TokenCacheHeader? Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size || !bytes.StartsWith(Magic) || MemoryMarshal.Read<int>(bytes[8..]) != Version) return null;
        if (!SHA256.HashData(bytes[..CheckedSize]).AsSpan().StartsWith(bytes[CheckedSize..])) return null;

        return new()
        {
            TokenWidth = MemoryMarshal.Read<int>(bytes[12..]),
            HeldOutCount = MemoryMarshal.Read<long>(bytes[16..]),
            TrainCount = MemoryMarshal.Read<long>(bytes[24..]),
            HeldOutBytes = MemoryMarshal.Read<long>(bytes[32..]),
            GzipBitsPerByte = MemoryMarshal.Read<double>(bytes[40..]),
            Key = bytes[48..80].ToArray(),
            Checksum = bytes[80..112].ToArray(),
        };
    }
}
