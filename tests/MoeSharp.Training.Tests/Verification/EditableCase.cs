using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training.Tests;

/// <summary>A layer or router case in memory, to be changed and written again.</summary>
internal sealed class EditableCase
{
    private readonly Dictionary<string, (TensorType Type, long[] Shape, byte[] Bytes)> _tensors;

    private EditableCase(JsonObject about, Dictionary<string, (TensorType, long[], byte[])> tensors)
    {
        (About, _tensors) = (about, tensors);
    }

    public JsonObject About { get; }

    public JsonObject Layer => About["layer"]!.AsObject();

    public IReadOnlyCollection<string> Names => _tensors.Keys;

    public static EditableCase Read(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return new(
            JsonNode.Parse(file.Metadata["case"])!.AsObject(),
            file.Tensors.Values.ToDictionary(info => info.Name, info => (info.Type, info.Shape.ToArray(), file.Bytes(info.Name).ToArray())));
    }

    public T[] Values<T>(string name)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(_tensors[name].Bytes).ToArray();

    public void Remove(string name) => Assert.True(_tensors.Remove(name), name);

    public void Rename(string name, string other)
    {
        _tensors.Add(other, _tensors[name]);
        Remove(name);
    }

    public void Copy(string name, string other) => _tensors.Add(other, _tensors[name]);

    public void Reshape(string name, params long[] shape) => _tensors[name] = _tensors[name] with { Shape = shape };

    /// <summary>Gives a tensor another type without changing its bytes; both types are of one size.</summary>
    public void Retype(string name, TensorType type) => _tensors[name] = _tensors[name] with { Type = type };

    public void Put(string name, TensorType type, long[] shape, byte[] bytes) => _tensors[name] = (type, shape, bytes);

    /// <summary>Changes the first value of a tensor.</summary>
    public void Change<T>(string name, Func<T, T> change)
        where T : unmanaged
    {
        var values = MemoryMarshal.Cast<byte, T>(_tensors[name].Bytes.AsSpan());
        values[0] = change(values[0]);
    }

    /// <summary>Changes the first value of an output or a gradient by half of it and a little more, or an id to another one.</summary>
    public void Falsify(string name)
    {
        switch (_tensors[name].Type)
        {
            case TensorType.F32: Change<float>(name, value => value * 1.5f + 0.01f); break;
            case TensorType.I64: Change<long>(name, id => id == 0 ? 1 : id - 1); break;
            default: Change<byte>(name, value => (byte)(1 - value)); break;
        }
    }

    public void Write(string path) => SafetensorsWriter.Write(
        path,
        [.. _tensors.Select(tensor => new TensorToWrite(tensor.Key, tensor.Value.Type, tensor.Value.Shape, stream => stream.Write(tensor.Value.Bytes)))],
        new Dictionary<string, string> { ["case"] = About.ToJsonString() });
}
