using System.Text;
using System.Text.Unicode;

namespace MoeSharp.Checkpoints;

/// <summary>An entry of a GGUF header's list of tensors.</summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Offset">Where its bytes start, from the start of the data.</param>
/// <param name="ByteCount">How many it has.</param>
internal readonly record struct GgufTensorEntry(GgufTensor Tensor, ulong Offset, long ByteCount);

/// <summary>Reads the list of tensors of a GGUF header. Every entry is checked by itself; how they lie beside each other is for <see cref="GgufLayout"/>.</summary>
internal static class GgufTensorReader
{
    public const int MaximumNameLength = 64; // the format's own, in bytes
    public const int MaximumRank = 4;        // the same

    /// <summary>The entries, in the order of the file; the cursor stands behind them.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public static List<GgufTensorEntry> Read(GgufCursor cursor, int count)
    {
        var entries = new List<GgufTensorEntry>(count);
        for (int i = 0; i < count; i++) entries.Add(ReadEntry(cursor));
        return entries;
    }

    private static GgufTensorEntry ReadEntry(GgufCursor cursor)
    {
        string name = ReadName(cursor);
        cursor.Enter("tensor", name);
        long[] shape = ReadShape(cursor);
        var type = ReadType(cursor);
        ulong offset = cursor.ReadUInt64();
        return new(new GgufTensor(name, type, shape), offset, CountBytes(cursor, type, shape));
    }

    private static string ReadName(GgufCursor cursor)
    {
        cursor.Enter("the name of a tensor");
        var bytes = cursor.ReadText(MaximumNameLength);
        if (!Utf8.IsValid(bytes)) throw cursor.Fault($"Tensor name {TensorName.Quote(Encoding.UTF8.GetString(bytes))} is not UTF-8.");

        string name = Encoding.UTF8.GetString(bytes);
        return TensorName.FindFault(name) is { } fault ? throw cursor.Fault($"Tensor name {TensorName.Quote(name)} {fault}.") : name;
    }

    /// <summary>The sizes, turned round to slowest first.</summary>
    private static long[] ReadShape(GgufCursor cursor)
    {
        uint rank = cursor.ReadUInt32();
        if (rank is < 1 or > MaximumRank) throw cursor.Fault($"{cursor.Place()} has {rank} dimensions; the format allows 1 to {MaximumRank}.");

        long[] shape = new long[rank];
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            ulong size = cursor.ReadUInt64();
            if (size is < 1 or > long.MaxValue) throw cursor.Fault($"{cursor.Place()} has a dimension of {size}; expected 1 to {long.MaxValue}.");
            shape[i] = (long)size;
        }

        return shape;
    }

    private static GgufType ReadType(GgufCursor cursor)
    {
        uint type = cursor.ReadUInt32();
        if (type <= int.MaxValue && Enum.IsDefined((GgufType)type)) return (GgufType)type;

        throw cursor.Fault($"{cursor.Place()} has the type {GgufTypeNames.Describe(type)}, which is not supported; supported are {string.Join(", ", Enum.GetNames<GgufType>())}.");
    }

    private static long CountBytes(GgufCursor cursor, GgufType type, long[] shape)
    {
        var (length, bytes) = GgufTypes.SizeOf(type);
        if (shape[^1] % length != 0) throw cursor.Fault($"{cursor.Place()} has rows of {shape[^1]} numbers; rows of {type} are blocks of {length}.");

        try
        {
            long product = checked(shape[^1] / length * bytes);
            foreach (long size in shape.AsSpan(0, shape.Length - 1)) product = checked(product * size);
            return product;
        }
        catch (OverflowException)
        {
            throw cursor.Fault($"{cursor.Place()}: shape [{string.Join(", ", shape)}] of {type} overflows 64 bits.");
        }
    }
}
