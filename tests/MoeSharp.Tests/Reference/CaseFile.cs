using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>A layer case: tensors and a description in one safetensors file, as tests/fixtures/layers holds them.</summary>
internal sealed class CaseFile
{
    private readonly Dictionary<string, Tensor> _tensors = [];

    public CaseFile(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        using var header = JsonDocument.Parse(bytes.AsMemory(8, length));
        foreach (var entry in header.RootElement.EnumerateObject())
        {
            if (entry.Name == "__metadata__") Case = JsonDocument.Parse(entry.Value.GetProperty("case").GetString()!).RootElement;
            else _tensors.Add(entry.Name, Read(entry.Value, bytes.AsSpan(8 + length)));
        }
    }

    public JsonElement Case { get; }

    public Tensor this[string name] => _tensors[name];

    public Tensor? Find(string name) => _tensors.GetValueOrDefault(name);

    public IEnumerable<(string Name, Tensor Tensor)> StartingWith(string prefix) => _tensors
        .Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal))
        .Select(entry => (entry.Key[prefix.Length..], entry.Value));

    private static Tensor Read(JsonElement info, ReadOnlySpan<byte> data)
    {
        long[] shape = [.. info.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
        var offsets = info.GetProperty("data_offsets");
        var bytes = data[offsets[0].GetInt32()..offsets[1].GetInt32()];
        return info.GetProperty("dtype").GetString() == "I64"
            ? tensor(MemoryMarshal.Cast<byte, long>(bytes).ToArray()).reshape(shape)
            : tensor(MemoryMarshal.Cast<byte, float>(bytes).ToArray()).reshape(shape);
    }
}
