using System.Runtime.InteropServices;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>Moves tensors between libtorch's memory and safetensors files.</summary>
internal static class TensorMemory
{
    /// <summary>A float32, bfloat16, int64, byte or bool (as bytes) tensor as an entry of a file; it must stay alive until the file is written.</summary>
    public static TensorToWrite ToWrite(string name, Tensor value) => new(name, FileType(value.dtype), value.shape, stream =>
    {
        using var dense = value.detach().contiguous();
        stream.Write(dense.bytes);
        GC.KeepAlive(dense);
    });

    /// <summary>Whether the file's type converts to float32 without loss.</summary>
    public static bool CanRead(TensorType type) => PlainMatrix.Types.Contains(type);

    /// <summary>Whether a tensor can hold values of the file's type: float32 those that <see cref="CanRead"/>, others their own.</summary>
    public static bool CanFill(Tensor destination, TensorType type) => destination.dtype == ScalarType.Float32 ? CanRead(type) : FileType(destination.dtype) == type;

    /// <summary>Fills a dense tensor with stored values of a type that it <see cref="CanFill"/>.</summary>
    public static void Fill(Tensor destination, TensorType type, ReadOnlySpan<byte> stored)
    {
        if (destination.dtype != ScalarType.Float32)
        {
            stored.CopyTo(destination.bytes);
            return;
        }

        if (!CanRead(type)) throw new ArgumentOutOfRangeException(nameof(type), type, "Only float types are read into float32.");
        PlainNumbers.Widen(stored, type, MemoryMarshal.Cast<byte, float>(destination.bytes));
        GC.KeepAlive(destination);
    }

    /// <summary>The values of a tensor of this type, row-major; also of one without any.</summary>
    public static T[] Values<T>(Tensor tensor)
        where T : unmanaged
    {
        using var dense = tensor.detach().contiguous();
        T[] values = TensorValues.Of<T>(dense).ToArray();
        GC.KeepAlive(dense);
        return values;
    }

    private static TensorType FileType(ScalarType type) => type switch
    {
        ScalarType.Int64 => TensorType.I64,
        ScalarType.Byte or ScalarType.Bool => TensorType.U8,
        ScalarType.BFloat16 => TensorType.BF16,
        _ => TensorType.F32,
    };

    /// <summary>A new int64, byte or float32 tensor with the stored values; it belongs to the caller's dispose scope.</summary>
    public static Tensor Read(SafetensorsFile file, string name)
    {
        var info = file.Tensors[name];
        if (info.Type == TensorType.I64) return tensor(MemoryMarshal.Cast<byte, long>(file.Bytes(name)).ToArray(), [.. info.Shape]);
        if (info.Type == TensorType.U8) return tensor(file.Bytes(name).ToArray(), [.. info.Shape]);
        if (!CanRead(info.Type)) throw new CheckpointException(file.Path, $"tensor '{name}' is {info.Type}; expected I64, U8, F32, BF16 or F16.");

        var values = empty([.. info.Shape], ScalarType.Float32);
        Fill(values, info.Type, file.Bytes(name));
        return values;
    }
}
