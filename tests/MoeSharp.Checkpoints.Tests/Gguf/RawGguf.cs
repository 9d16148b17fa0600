using System.Text;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>
/// A GGUF file made by hand from the format's specification, so that any part of it can be wrong: what is not set otherwise is right.
/// </summary>
internal sealed class RawGguf
{
    private readonly List<byte[]> _values = [];
    private readonly List<(byte[] Head, ulong? Offset, byte[] Data)> _tensors = [];

    public uint Version { get; init; } = 3;

    public int Alignment { get; init; } = 32;

    /// <summary>What the header announces; null for the truth.</summary>
    public ulong? TensorCount { get; init; }

    /// <inheritdoc cref="TensorCount"/>
    public ulong? ValueCount { get; init; }

    /// <summary>Whether the last tensor is filled up to the alignment as the others are.</summary>
    public bool FillsEnd { get; init; } = true;

    /// <summary>A value of the metadata, given as the number of its type and its bytes.</summary>
    public RawGguf Value(string key, uint type, params byte[] bytes)
    {
        _values.Add([.. Text(key), .. BitConverter.GetBytes(type), .. bytes]);
        return this;
    }

    public RawGguf Value(string key, GgufValueType type, params byte[] bytes) => Value(key, (uint)type, bytes);

    public RawGguf Value(string key, string text) => Value(key, GgufValueType.Text, Text(text));

    public RawGguf Value(string key, uint number) => Value(key, GgufValueType.U32, BitConverter.GetBytes(number));

    public RawGguf Value(string key, ushort number) => Value(key, GgufValueType.U16, BitConverter.GetBytes(number));

    public RawGguf Values(string key, params string[] texts) => Value(key, GgufValueType.Array, Array(GgufValueType.Text, texts.Length, [.. texts.SelectMany(Text)]));

    /// <summary>A tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">The number of its type.</param>
    /// <param name="sizes">Its sizes as the file lists them: fastest first.</param>
    /// <param name="data">Its bytes.</param>
    /// <param name="offset">Where it says they are, from the start of the data; null for the truth.</param>
    public RawGguf Tensor(string name, uint type, ulong[] sizes, byte[] data, ulong? offset = null)
    {
        _tensors.Add(([.. Text(name), .. BitConverter.GetBytes(sizes.Length), .. sizes.SelectMany(BitConverter.GetBytes), .. BitConverter.GetBytes(type)], offset, data));
        return this;
    }

    public RawGguf Tensor(string name, GgufType type, ulong[] sizes, byte[] data) => Tensor(name, (uint)type, sizes, data);

    public byte[] Bytes()
    {
        var file = new List<byte>([.. "GGUF"u8, .. BitConverter.GetBytes(Version)]);
        file.AddRange(BitConverter.GetBytes(TensorCount ?? (ulong)_tensors.Count));
        file.AddRange(BitConverter.GetBytes(ValueCount ?? (ulong)_values.Count));
        foreach (byte[] value in _values) file.AddRange(value);

        long position = 0;
        foreach (var (head, offset, data) in _tensors)
        {
            file.AddRange([.. head, .. BitConverter.GetBytes(offset ?? (ulong)position)]);
            position += Up(data.Length);
        }

        Fill(file);
        for (int i = 0; i < _tensors.Count; i++)
        {
            file.AddRange(_tensors[i].Data);
            if (i < _tensors.Count - 1 || FillsEnd) Fill(file);
        }

        return [.. file];
    }

    public string Write(string path)
    {
        File.WriteAllBytes(path, Bytes());
        return path;
    }

    public static byte[] Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return [.. BitConverter.GetBytes((long)bytes.Length), .. bytes];
    }

    public static byte[] Array(GgufValueType type, long count, params byte[] elements) => [.. BitConverter.GetBytes((uint)type), .. BitConverter.GetBytes(count), .. elements];

    private void Fill(List<byte> file) => file.AddRange(new byte[Up(file.Count) - file.Count]);

    private int Up(int length) => (length + Alignment - 1) / Alignment * Alignment;
}
