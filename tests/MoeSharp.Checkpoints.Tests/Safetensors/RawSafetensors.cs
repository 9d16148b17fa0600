using System.Buffers.Binary;
using System.Text;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Files made by hand, byte by byte, so that they can be wrong.</summary>
internal static class RawSafetensors
{
    /// <summary>One entry of a header: <c>"name":{"dtype":…}</c>.</summary>
    public static string Entry(string name, string type, string shape, long begin, long end) =>
        $$$"""
        "{{{name}}}":{"dtype":"{{{type}}}","shape":[{{{shape}}}],"data_offsets":[{{{begin}}},{{{end}}}]}
        """;

    public static byte[] Bytes(string header, int dataLength = 0)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] file = new byte[8 + json.Length + dataLength];
        BinaryPrimitives.WriteInt64LittleEndian(file, json.Length);
        json.CopyTo(file, 8);
        return file;
    }

    public static string Write(string path, string header, int dataLength = 0)
    {
        File.WriteAllBytes(path, Bytes(header, dataLength));
        return path;
    }

    public static TensorToWrite Tensor(string name, TensorType type, long[] shape, byte[] bytes) => new(name, type, shape, stream => stream.Write(bytes));

    public static TensorToWrite Floats(string name, params float[] values) =>
        Tensor(name, TensorType.F32, [values.Length], System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
}
