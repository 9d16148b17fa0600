using static MoeSharp.Checkpoints.QuantizedNames;

namespace MoeSharp.Checkpoints;

/// <summary>E2M1 weights, two in a byte: MXFP4 with exponents for 32 inputs, and NVFP4 with E4M3 scales for 16 inputs and one for all.</summary>
internal static class Fp4Reader
{
    private const int MxGroup = 32, NvGroup = 16;

    /// <summary>GPT-OSS: codes [out, groups, 16], exponents [out, groups].</summary>
    public static WeightMatrix? ReadBlocks(WeightParts parts)
    {
        bool isDotted = parts.Has(DottedBlocks);
        var codes = parts.Require(isDotted ? DottedBlocks : Blocks, "MXFP4 keeps its codes there");
        var scales = parts.Require(isDotted ? GptqScales : BlockScales, "MXFP4 keeps its exponents there");
        if (codes is null || scales is null || !parts.IsOf(codes, TensorType.U8) | !parts.IsOf(scales, TensorType.U8, TensorType.F8E8M0)) return null;

        var shape = codes.Info.Shape;
        bool isBlocked = shape is [>= 1 and <= int.MaxValue, >= 1 and <= int.MaxValue / MxGroup, MxGroup / 2];
        if (parts.Fault(!isBlocked, $"Tensor {WeightParts.Shown(codes)}; expected [outputs, groups, {MxGroup / 2}]: {MxGroup} codes to a group.")) return null;

        var (rows, columns) = ((int)shape[0], (int)shape[1] * MxGroup);
        return Mx(parts, codes, scales, rows, columns);
    }

    /// <summary>DeepSeek-V4 and compressed-tensors: codes [out, in / 2], exponents [out, in / 32].</summary>
    public static WeightMatrix? ReadMx(WeightParts parts, TensorData codes, TensorData scales) =>
        Columns(parts, codes) is { } columns && parts.IsOf(scales, ScaleValues.Exponents) ? Mx(parts, codes, scales, (int)codes.Info.Shape[0], columns) : null;

    /// <summary>compressed-tensors: <c>code · (scale / weight_global_scale)</c>; ModelOpt: <c>code · (scale · weight_scale_2)</c>.</summary>
    public static WeightMatrix? ReadNv(WeightParts parts, TensorData codes)
    {
        bool divides = !parts.Has(SecondScale);
        var scales = parts.Require(WeightScale, "NVFP4 keeps the scales of groups there");
        var global = parts.Require(divides ? GlobalScale : SecondScale, "NVFP4 keeps the scale of the tensor there");
        if (scales is null || global is null || Columns(parts, codes) is not { } columns) return null;

        int rows = (int)codes.Info.Shape[0];
        bool isOne = global.Info.Shape.All(size => size == 1);
        parts.Fault(!isOne, $"Tensor {WeightParts.Shown(global)}; expected one number.");
        if (!parts.IsOf(global, TensorType.F32) | !parts.IsOf(scales, TensorType.F8E4M3) | !isOne
            | !parts.HasShape(scales, $"a scale for {NvGroup} inputs", rows, (columns + NvGroup - 1) / NvGroup))
        {
            return null;
        }

        float factor = ScaleValues.Read(global, 0);
        parts.Warn(!(factor > 0 && float.IsFinite(factor)), $"Tensor {TensorName.Quote(global.Info.Name)} is {factor}; expected a number above 0.");
        parts.CheckScales(scales);
        var grid = ScaleGrid.Over(columns, scales, 1, NvGroup) with { Divisor = divides ? factor : null, Factor = divides ? null : factor };
        return new ScaledMatrix<E2M1Code>(codes.Info.Name, $"E2M1 in groups of {NvGroup} (NVFP4, {(divides ? "compressed-tensors" : "ModelOpt")})", rows, columns, codes, grid);
    }

    private static ScaledMatrix<E2M1Code>? Mx(WeightParts parts, TensorData codes, TensorData scales, int rows, int columns)
    {
        if (!parts.HasShape(scales, $"an exponent for {MxGroup} inputs", rows, (columns + MxGroup - 1) / MxGroup)) return null;

        parts.CheckScales(scales);
        return new ScaledMatrix<E2M1Code>(codes.Info.Name, $"E2M1 in groups of {MxGroup} (MXFP4)", rows, columns, codes, ScaleGrid.Over(columns, scales, 1, MxGroup));
    }

    /// <summary>F4 counts codes, bytes hold two.</summary>
    private static int? Columns(WeightParts parts, TensorData codes)
    {
        if (!parts.IsOf(codes, TensorType.U8, TensorType.I8, TensorType.F4) || !parts.IsMatrix(codes)) return null;

        long columns = codes.Info.Shape[1] * (codes.Info.Type == TensorType.F4 ? 1 : 2);
        return parts.Fault(columns > int.MaxValue || columns % 2 != 0, $"Tensor {WeightParts.Shown(codes)}; its rows are no whole bytes, or too long.") ? null : (int)columns;
    }
}
