using System.Buffers.Binary;
using static MoeSharp.Checkpoints.QuantizedNames;

namespace MoeSharp.Checkpoints;

/// <summary>compressed-tensors' whole numbers: packed in words, or signed bytes.</summary>
internal static class IntegerReader
{
    private const int WordBits = 32, UsualBits = 4;

    public static WeightMatrix? ReadPacked(WeightParts parts, TensorData codes, QuantizationScheme.PackedInteger? scheme)
    {
        var scales = parts.Require(WeightScale, "pack-quantized weights need scales");
        var shape = parts.Require(PackedShape, "pack-quantized weights state their shape there");
        if (scales is null || shape is null || !parts.IsMatrix(codes) | !parts.IsOf(scales, ScaleValues.Floats)) return null;
        if (ReadShape(parts, shape) is not var (rows, columns) || ReadBits(parts, codes, rows, columns, scheme) is not { } bits) return null;
        bool isOfTensor = scales.Info.Shape is [] or [1];
        if ((isOfTensor ? new IntegerGroups(columns, 1, null) : ReadGroups(parts, scales, rows, columns, scheme)) is not { } groups) return null;

        var zeros = parts.Find(ZeroPoint);
        parts.Fault(scheme is { IsSymmetric: false } && zeros is null, $"Tensor {TensorName.Quote(parts.Name + ZeroPoint)} is missing; the config says symmetric = false.");
        parts.Fault(scheme is { IsSymmetric: true } && zeros is not null, $"Tensor {TensorName.Quote(parts.Name + ZeroPoint)} is there; the config says symmetric = true.");
        if (zeros is not null && !parts.IsOf(zeros, TensorType.I32) | !parts.HasShape(zeros, "zero points in words along the outputs", Ceiling(rows, WordBits / bits), groups.Count)) return null;

        parts.CheckScales(scales);
        return new PackedIntegerMatrix(codes.Info.Name, rows, columns, bits, groups, codes, ScaleGrid.Over(columns, scales, isOfTensor ? rows : 1, groups.Size), zeros);
    }

    public static WeightMatrix? ReadBytes(WeightParts parts, TensorData codes, QuantizationScheme.Integer8? scheme)
    {
        var scales = parts.Require(WeightScale, "int-quantized weights need scales");
        if (scales is null || !parts.IsMatrix(codes) | !parts.IsOf(scales, ScaleValues.Floats)) return null;

        var (rows, columns) = ((int)codes.Info.Shape[0], (int)codes.Info.Shape[1]);
        if (ByteGrid(parts, scales, rows, columns, scheme) is not { } grid) return null;

        parts.CheckScales(scales);
        var zeros = parts.Find(ZeroPoint);
        parts.Fault(scheme is { IsSymmetric: false } && zeros is null, $"Tensor {TensorName.Quote(parts.Name + ZeroPoint)} is missing; the config says symmetric = false.");
        if (zeros is not null && !parts.IsOf(zeros, TensorType.I8) | !parts.HasShape(zeros, "a zero point for each scale", [.. scales.Info.Shape])) return null;
        if (zeros is not null && scheme is { IsSymmetric: true } && parts.Fault(!ScaleValues.IsZero(zeros), $"Tensor {TensorName.Quote(zeros.Info.Name)} has zero points; the config says symmetric = true.")) return null;
        if (ReadOrder(parts, columns, grid.BlockColumns, grid.Across) is not { } groups) return null;

        return zeros is null && groups.OfColumn is null
            ? new ScaledMatrix<SignedByteCode>(codes.Info.Name, "int8 (int-quantized)", rows, columns, codes, grid)
            : new SignedByteMatrix(codes.Info.Name, rows, columns, groups, grid, codes, zeros);
    }

    private static IntegerGroups? ReadOrder(WeightParts parts, int columns, int size, int count) => parts.Find(GroupIndex) is { } index
        ? GroupIndexReader.Read(parts, index, columns, size, count, isIgnoredWhenNegative: true)
        : new(size, count, null);

    // a scale for the tensor, for each output, or for each group of inputs
    private static ScaleGrid? ByteGrid(WeightParts parts, TensorData scales, int rows, int columns, QuantizationScheme.Integer8? scheme)
    {
        var shape = scales.Info.Shape;
        if (shape.Count < 2 && shape.All(size => size == 1)) return ScaleGrid.Over(columns, scales, rows, columns);
        if (shape is [var size] && size == rows) return ScaleGrid.Over(columns, scales, 1, columns);

        int? group = scheme?.GroupSize ?? (shape is [_, >= 1 and var across] && columns % across == 0 ? (int)(columns / across) : null);
        if (parts.Fault(group is null, $"Tensor {WeightParts.Shown(scales)}; expected [{rows}, 1], or [{rows}, groups].")) return null;

        return parts.HasShape(scales, $"a scale for {group} inputs of each output", rows, Ceiling(columns, group!.Value)) ? ScaleGrid.Over(columns, scales, 1, group.Value) : null;
    }

    private static (int Rows, int Columns)? ReadShape(WeightParts parts, TensorData shape)
    {
        bool isOfStack = shape.Info.Shape is [3];      // experts first
        if (!parts.IsOf(shape, TensorType.I64, TensorType.I32) || !(isOfStack || parts.HasShape(shape, "outputs and inputs", 2))) return null;

        int size = shape.Info.Type.BitSize() / 8;
        long At(int index) => size == sizeof(long) ? BinaryPrimitives.ReadInt64LittleEndian(shape.Bytes(index * size, size)) : BinaryPrimitives.ReadInt32LittleEndian(shape.Bytes(index * size, size));

        var (rows, columns) = isOfStack ? (At(1), At(2)) : (At(0), At(1));
        bool isFaulty = rows is < 1 or > int.MaxValue || columns is < 1 or > int.MaxValue;
        return parts.Fault(isFaulty, $"Tensor {TensorName.Quote(shape.Info.Name)} says [{rows}, {columns}], which no matrix has.") ? null : ((int)rows, (int)columns);
    }

    // without a config they are four: a shape that would fit other numbers of bits is more likely a wrong shape
    private static int? ReadBits(WeightParts parts, TensorData codes, int rows, int columns, QuantizationScheme.PackedInteger? scheme)
    {
        int bits = scheme?.Bits ?? UsualBits;
        return parts.HasShape(codes, $"{TensorName.Quote(parts.Name + PackedShape)} says [{rows}, {columns}], in words of {WordBits / bits} numbers", rows, Ceiling(columns, WordBits / bits)) ? bits : null;
    }

    private static IntegerGroups? ReadGroups(WeightParts parts, TensorData scales, int rows, int columns, QuantizationScheme.PackedInteger? scheme)
    {
        if (!parts.IsMatrix(scales)) return null;

        long count = scales.Info.Shape[1];
        bool isOpen = scheme is null && columns % count != 0;
        if (parts.Fault(isOpen, $"Tensor {WeightParts.Shown(scales)}; {columns} inputs are no whole groups, so the config must say how large groups are.")) return null;

        int size = scheme is null ? (int)(columns / count) : Math.Min(scheme.GroupSize ?? columns, columns);
        if (!parts.HasShape(scales, $"a scale for {size} inputs of each output", rows, Ceiling(columns, size))) return null;

        return ReadOrder(parts, columns, size, (int)count);
    }

    private static long Ceiling(long count, long size) => (count + size - 1) / size;
}
