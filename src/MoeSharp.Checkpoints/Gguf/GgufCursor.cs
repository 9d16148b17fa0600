using System.Buffers.Binary;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Reads a GGUF header from its start on, little-endian. Every read is checked against the end of the file first, so that nothing outside
/// is touched and no length in the file is believed.
/// </summary>
internal sealed class GgufCursor(MappedFile file, long position)
{
    private string _subject = "the header";
    private string? _name;

    public MappedFile File => file;

    public long Position { get; private set; } = position;

    public long Remaining => file.Length - Position;

    /// <summary>Sets what is being read, for messages; put together only when there is one.</summary>
    public void Enter(string subject, string? name = null) => (_subject, _name) = (subject, name);

    public byte ReadByte() => Take(sizeof(byte))[0];

    public ushort ReadUInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(sizeof(ushort)));

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));

    public ulong ReadUInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    /// <summary>A number of things that follow; refused when the rest of the file cannot hold as many.</summary>
    public long ReadCount(int smallest, string things)
    {
        ulong count = ReadUInt64();
        return count <= (ulong)(Remaining / smallest)
            ? (long)count
            : throw Fault($"{Place()} announces {count} {things}, more than the {Remaining} bytes that follow can hold. The file is damaged or incomplete: fetch it again.");
    }

    /// <summary>The bytes of a text, behind their number.</summary>
    public ReadOnlySpan<byte> ReadText(int limit)
    {
        ulong length = ReadUInt64();
        if (length > (ulong)limit && length <= (ulong)Remaining) throw Fault($"{Place()} has a text of {length} bytes; the limit is {limit}.");
        return Take(length);
    }

    public ReadOnlySpan<byte> Take(ulong count)
    {
        Check(count);
        var bytes = file.Bytes(Position, checked((int)count));
        Position += bytes.Length;
        return bytes;
    }

    public void Skip(ulong count)
    {
        Check(count);
        Position += (long)count;
    }

    /// <summary>A fault of what is being read.</summary>
    public CheckpointException Fault(string message) => new(file.Path, message);

    /// <summary>What is being read, to start a sentence: <c>Metadata 'general.name'</c>.</summary>
    public string Place()
    {
        string place = _name is null ? _subject : $"{_subject} {TensorName.Quote(_name)}";
        return string.Concat(char.ToUpperInvariant(place[0]).ToString(), place.AsSpan(1));
    }

    private void Check(ulong count)
    {
        if (count <= (ulong)Remaining) return;

        throw Fault($"{Place()} takes {count} bytes at byte {Position}, but the file ends at {file.Length}. The file is damaged or incomplete: fetch it again.");
    }
}
