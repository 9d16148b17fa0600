using System.Buffers.Binary;
using System.Numerics;

namespace MoeSharp;

/// <summary>The numbers of the file format, which docs/trace-format.md describes byte by byte.</summary>
internal static class RoutingTraceFormat
{
    public const int Version = 1;
    public const int PreludeLength = 16;          // magic, version, length of the header
    public const int ChecksumLength = 4;
    public const int MostHeaderBytes = 16 << 20;
    public const int MostSlots = 1 << 28;         // of one entry: its record fits an array
    public const byte EntryKind = 1;
    public const byte EndKind = 2;
    public const int EndLength = 1 + 1 + sizeof(long) + ChecksumLength;
    public const byte HasDropped = 1;             // in the flags of an entry
    public const int MostVarintBytes = 9;         // 63 bits

    public static ReadOnlySpan<byte> Magic => "MOETRACE"u8;

    /// <summary>The bytes of an expert: the number that has all bits set means none, so 255 experts are the most for one.</summary>
    public static int BytesPerExpert(int expertCount) => expertCount <= byte.MaxValue ? 1 : 2;

    /// <summary>CRC-32C (Castagnoli), which processors compute by themselves.</summary>
    public static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..]) crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (byte value in bytes) crc = BitOperations.Crc32C(crc, value);

        return ~crc;
    }

    /// <summary>The bytes of a number in LEB128: seven bits in each, the lowest first, the top bit set in all but the last.</summary>
    public static int VarintLength(long value) => Math.Max(1, (63 - BitOperations.LeadingZeroCount((ulong)value) + 7) / 7);

    public static int WriteVarint(Span<byte> target, long value)
    {
        int length = 0;
        for (; value > 0x7f; value >>= 7) target[length++] = (byte)(value | 0x80);
        target[length++] = (byte)value;

        return length;
    }

    /// <summary>Reads a number in its one form: not cut off, not above 63 bits, no zeros at its end.</summary>
    public static bool TryReadVarint(ReadOnlySpan<byte> source, out long value, out int length)
    {
        (value, length) = (0, 0);
        while (length < source.Length && length < MostVarintBytes)
        {
            byte part = source[length];
            value |= (long)(part & 0x7f) << (7 * length++);
            if (part < 0x80) return part != 0 || length == 1;
        }

        return false;
    }

    /// <summary>The file's last record: kind, length, number of entries, checksum.</summary>
    public static byte[] EndRecord(long entries)
    {
        byte[] record = new byte[EndLength];
        (record[0], record[1]) = (EndKind, sizeof(long));
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(2), entries);
        Seal(record);
        return record;
    }

    /// <summary>Puts the checksum of all before it into the last four bytes.</summary>
    public static void Seal(Span<byte> bytes) =>
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[^ChecksumLength..], Checksum(bytes[..^ChecksumLength]));

    public static bool IsSealed(ReadOnlySpan<byte> bytes) =>
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[^ChecksumLength..]) == Checksum(bytes[..^ChecksumLength]);
}
