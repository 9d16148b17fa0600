using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>Scales of any type as float32, exactly.</summary>
internal static class ScaleValues
{
    /// <summary>Types of scales that are numbers; <see cref="TensorType.U8"/> holds exponents, as <see cref="TensorType.F8E8M0"/> does.</summary>
    public static readonly TensorType[] Floats = [TensorType.F32, TensorType.BF16, TensorType.F16];

    public static readonly TensorType[] Exponents = [TensorType.F8E8M0, TensorType.U8];

    /// <summary>Reads consecutive elements.</summary>
    public static void Read(TensorData tensor, long first, Span<float> to)
    {
        int size = tensor.Info.Type.BitSize() / 8;
        var bytes = tensor.Bytes(first * size, to.Length * size);
        switch (tensor.Info.Type)
        {
            case TensorType.F32:
                bytes.CopyTo(MemoryMarshal.AsBytes(to));
                break;
            case TensorType.BF16:
                BFloat16Values.Widen(MemoryMarshal.Cast<byte, ushort>(bytes), to);
                break;
            case TensorType.F16:
                HalfValues.Widen(bytes, to);
                break;
            case TensorType.F8E4M3:
                ScaledCodes.Decode<E4M3Code>(bytes, scale: 1, to);
                break;
            case TensorType.F8E8M0 or TensorType.U8:
                for (int i = 0; i < to.Length; i++) to[i] = SmallFloat.FromE8M0(bytes[i]);
                break;
            default:
                throw new InvalidOperationException($"{tensor.Info} is no tensor of scales.");
        }
    }

    public static float Read(TensorData tensor, long index)
    {
        Span<float> value = [0];
        Read(tensor, index, value);
        return value[0];
    }

    /// <summary>Whether a byte occurs in a tensor.</summary>
    public static bool HasByte(TensorData tensor, byte wanted) => AnyPart(tensor, part => part.Contains(wanted));

    /// <summary>Whether all bytes of a tensor are 0.</summary>
    public static bool IsZero(TensorData tensor) => !AnyPart(tensor, part => part.ContainsAnyExcept((byte)0));

    /// <summary>Whether one of its values, of 32 bits, is not finite.</summary>
    public static bool HasNotFinite(TensorData tensor) => AnyPart(tensor, part =>
    {
        foreach (float value in MemoryMarshal.Cast<byte, float>(part))
        {
            if (!float.IsFinite(value)) return true;
        }

        return false;
    });

    /// <summary>What is odd about the first odd scale.</summary>
    public static ScaleOddity FindOddity(TensorData tensor)
    {
        Span<float> part = stackalloc float[256];
        long count = tensor.Info.ByteCount * 8 / tensor.Info.Type.BitSize();
        for (long first = 0; first < count; first += part.Length)
        {
            var values = part[..(int)Math.Min(part.Length, count - first)];
            Read(tensor, first, values);
            foreach (float value in values)
            {
                if (value is >= 0 and <= float.MaxValue) continue;
                return float.IsFinite(value) ? ScaleOddity.Negative : ScaleOddity.NotFinite;
            }
        }

        return ScaleOddity.None;
    }

    private static bool AnyPart(TensorData tensor, Func<ReadOnlySpan<byte>, bool> isWanted)
    {
        const int Part = 1 << 20;

        bool isFound = false;
        for (long first = 0; first < tensor.Info.ByteCount && !isFound; first += Part) isFound = isWanted(tensor.Bytes(first, (int)Math.Min(Part, tensor.Info.ByteCount - first)));
        return isFound;
    }
}

/// <summary>What can be odd about scales.</summary>
internal enum ScaleOddity
{
    None,
    NotFinite,
    Negative,
}
