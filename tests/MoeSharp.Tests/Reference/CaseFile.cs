using System.Runtime.InteropServices;
using System.Text.Json;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>A layer case: tensors and a description in one safetensors file, as tests/fixtures/layers holds them.</summary>
internal sealed class CaseFile
{
    private readonly Dictionary<string, Tensor> _tensors;

    public CaseFile(string path)
    {
        using var file = SafetensorsFile.Open(path);
        Case = JsonDocument.Parse(file.Metadata["case"]).RootElement;
        _tensors = file.Tensors.Values.ToDictionary(info => info.Name, info => Read(file, info));
    }

    public JsonElement Case { get; }

    public Tensor this[string name] => _tensors[name];

    public Tensor? Find(string name) => _tensors.GetValueOrDefault(name);

    public IEnumerable<(string Name, Tensor Tensor)> StartingWith(string prefix) => _tensors
        .Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal))
        .Select(entry => (entry.Key[prefix.Length..], entry.Value));

    private static Tensor Read(SafetensorsFile file, TensorInfo info) => info.Type == TensorType.I64
        ? tensor(MemoryMarshal.Cast<byte, long>(file.Bytes(info.Name)).ToArray(), [.. info.Shape])
        : tensor(MemoryMarshal.Cast<byte, float>(file.Bytes(info.Name)).ToArray(), [.. info.Shape]);
}
