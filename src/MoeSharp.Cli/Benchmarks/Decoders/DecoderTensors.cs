using System.Runtime.InteropServices;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary>Tensors of random codes in memory, with scales that are numbers.</summary>
internal sealed class DecoderTensors : ITensorSource
{
    private readonly OrderedDictionary<string, TensorData> _tensors = [];
    private readonly List<byte[]> _bytes = [];

    public string Path => "memory";

    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors.ToDictionary(tensor => tensor.Key, tensor => tensor.Value.Info);

    /// <summary>The bytes of the tensors, in the order in which they came.</summary>
    public IReadOnlyList<byte[]> Bytes => _bytes;

    public TensorData Data(string name) => _tensors[name];

    public void Add(string name, TensorType type, long[] shape, Random random)
    {
        byte[] bytes = new byte[shape.Aggregate(1L, (product, size) => product * size) * type.BitSize() / 8];
        random.NextBytes(bytes);
        for (int i = 0; i < bytes.Length * 8 / type.BitSize(); i++)
        {
            float scale = random.NextSingle() + 0.01f;
            if (type == TensorType.F32) MemoryMarshal.Cast<byte, float>(bytes.AsSpan())[i] = scale;
            if (type == TensorType.F16) MemoryMarshal.Cast<byte, Half>(bytes.AsSpan())[i] = (Half)scale;
            if (type == TensorType.BF16) MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan())[i] = BFloat16Values.Round(scale);
            if (name.EndsWith("_scales", StringComparison.Ordinal)) bytes[i] = (byte)random.Next(100, 150);
            if (type == TensorType.F8E4M3 && name.EndsWith("_scale", StringComparison.Ordinal)) bytes[i] &= 0x77;       // no NaN
        }

        if (name.EndsWith("_shape", StringComparison.Ordinal))
        {
            var codes = _tensors.Values.First().Info.Shape;
            var sizes = MemoryMarshal.Cast<byte, long>(bytes.AsSpan());
            (sizes[0], sizes[1]) = (codes[0], codes[1] * 8);
        }

        _tensors.Add(name, TensorData.FromMemory(name, type, shape, bytes));
        _bytes.Add(bytes);
    }
}
