using static MoeSharp.Checkpoints.QuantizedNames;

namespace MoeSharp.Checkpoints;

/// <summary>FP8 weights: what their scales are for follows from the config, or from the scales' shape.</summary>
internal static class Fp8Reader
{
    private const int UsualBlock = 128, MxGroup = 32;

    private const string FusedGateUp = "gate_up_proj";

    public static WeightMatrix? Read(WeightParts parts, TensorData codes, TensorData scales, QuantizationScheme? scheme)
    {
        if (!parts.IsMatrix(codes)) return null;

        var (rows, columns) = ((int)codes.Info.Shape[0], (int)codes.Info.Shape[1]);
        var grid = scheme is QuantizationScheme.Mxfp8 || (scheme is null && IsMx(scales, rows, columns))
            ? MxGrid(parts, scales, rows, columns)
            : Grid(parts, scales, rows, columns, scheme as QuantizationScheme.Fp8);
        if (grid is null) return null;

        parts.CheckScales(scales);
        string format = $"{(codes.Info.Type == TensorType.F8E4M3 ? "E4M3" : "E5M2")} {Words(grid, rows, columns)}";
        return codes.Info.Type == TensorType.F8E4M3
            ? new ScaledMatrix<E4M3Code>(codes.Info.Name, format, rows, columns, codes, grid)
            : new ScaledMatrix<E5M2Code>(codes.Info.Name, format, rows, columns, codes, grid);
    }

    // a grid of exponents that is far too wide for blocks
    private static bool IsMx(TensorData scales, int rows, int columns) =>
        ScaleValues.Exponents.Contains(scales.Info.Type) && scales.Info.Shape is [var down, var across] && down == rows && across == Ceiling(columns, MxGroup)
        && (down != Ceiling(rows, UsualBlock) || across != Ceiling(columns, UsualBlock));

    private static ScaleGrid? MxGrid(WeightParts parts, TensorData scales, int rows, int columns) =>
        parts.IsOf(scales, ScaleValues.Exponents) & parts.HasShape(scales, $"an exponent for {MxGroup} inputs", rows, Ceiling(columns, MxGroup))
            ? ScaleGrid.Over(columns, scales, 1, MxGroup)
            : null;

    private static ScaleGrid? Grid(WeightParts parts, TensorData scales, int rows, int columns, QuantizationScheme.Fp8? scheme)
    {
        if (!parts.IsOf(scales, [.. ScaleValues.Floats, .. ScaleValues.Exponents])) return null;

        var shape = scales.Info.Shape;
        var what = scheme?.Scales ?? Guess(scales, rows);
        int? half = HalfOf(parts, scales, rows);
        bool isWhole = shape.All(size => size == 1) || (half is not null && shape is [_, 1]);
        if (what == Fp8Scales.TensorOrChannel) what = isWhole ? Fp8Scales.Tensor : Fp8Scales.Channel;
        switch (what)
        {
            case Fp8Scales.Tensor:
                parts.Fault(!isWhole, $"Tensor {WeightParts.Shown(scales)}; expected one scale for the tensor.");
                return isWhole ? ScaleGrid.Over(columns, scales, half ?? rows, columns) : null;
            case Fp8Scales.Channel:
                bool isPerRow = shape is [var size, ..] && size == rows && shape.Skip(1).All(rest => rest == 1) && shape.Count <= 2;
                parts.Fault(!isPerRow, $"Tensor {WeightParts.Shown(scales)}; expected [{rows}, 1]: a scale for each output.");
                return isPerRow ? ScaleGrid.Over(columns, scales, 1, columns) : null;
            default:
                var (blockRows, blockColumns) = (scheme?.BlockRows ?? UsualBlock, scheme?.BlockColumns ?? UsualBlock);
                if (rows <= blockRows) blockRows = half ?? blockRows;
                return parts.HasShape(scales, $"a scale for each {blockRows}x{blockColumns} of [{rows}, {columns}]", Ceiling(rows, blockRows), Ceiling(columns, blockColumns))
                    ? ScaleGrid.Over(columns, scales, blockRows, blockColumns)
                    : null;
        }
    }

    // a grid of one is never taken for a scale of the tensor: it may be a grid that is too short
    private static Fp8Scales Guess(TensorData scales, int rows)
    {
        var shape = scales.Info.Shape;
        if (shape.Count == 0 || shape is [1]) return Fp8Scales.Tensor;

        bool isPerRow = shape[0] == rows && shape.Skip(1).All(size => size == 1) && ScaleValues.Floats.Contains(scales.Info.Type);
        return rows > 1 && isPerRow ? Fp8Scales.Channel : Fp8Scales.Block;
    }

    // transformers gives a fused gate and up two rows of scales also where the tensor, or blocks as high, would have one: the rows of each
    private static int? HalfOf(WeightParts parts, TensorData scales, int rows) =>
        parts.Name.EndsWith(FusedGateUp, StringComparison.Ordinal) && parts.Has(StackedScaleInverse) && scales.Info.Shape is [2, ..] && rows % 2 == 0 ? rows / 2 : null;

    private static string Words(ScaleGrid grid, int rows, int columns) => grid switch
    {
        { BlockRows: 1, BlockColumns: MxGroup } => "in groups of 32 (MXFP8)",
        { BlockRows: 1 } when grid.BlockColumns == columns && rows > 1 => "per channel",
        _ when grid.BlockRows == rows && grid.BlockColumns == columns => "per tensor",
        _ => $"in blocks of {grid.BlockRows}x{grid.BlockColumns}",
    } + $", {grid.Scales.Info.Type.FileName()} scales";

    private static long Ceiling(long count, long size) => (count + size - 1) / size;
}
