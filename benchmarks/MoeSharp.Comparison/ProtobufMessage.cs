using System.Text;

namespace MoeSharp.Comparison;

/// <summary>A message of protocol buffers, written field by field.</summary>
internal sealed class ProtobufMessage
{
    private const int Varint = 0, Bytes = 2, Fixed32 = 5;

    private readonly List<byte> _bytes = [];

    public ProtobufMessage Number(int field, long value) => Tag(field, Varint).Write(value);

    public ProtobufMessage Text(int field, string value) => Block(field, Encoding.UTF8.GetBytes(value));

    public ProtobufMessage Part(int field, ProtobufMessage value) => Block(field, value.ToArray());

    public ProtobufMessage Parts(int field, IEnumerable<ProtobufMessage> values)
    {
        foreach (var value in values) Part(field, value);
        return this;
    }

    public ProtobufMessage Single(int field, float value)
    {
        Tag(field, Fixed32)._bytes.AddRange(BitConverter.GetBytes(value));
        return this;
    }

    public byte[] ToArray() => [.. _bytes];

    private ProtobufMessage Block(int field, byte[] value)
    {
        Tag(field, Bytes).Write(value.Length)._bytes.AddRange(value);
        return this;
    }

    private ProtobufMessage Tag(int field, int kind) => Write((field << 3) | kind);

    private ProtobufMessage Write(long value)
    {
        for (; value >= 0x80; value >>= 7) _bytes.Add((byte)(value | 0x80));
        _bytes.Add((byte)value);
        return this;
    }
}
