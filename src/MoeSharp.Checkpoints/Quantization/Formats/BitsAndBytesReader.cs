using System.Text.Json;
using static MoeSharp.Checkpoints.QuantizedNames;

namespace MoeSharp.Checkpoints;

/// <summary>bitsandbytes: 4 bits of the flat matrix, whose shape and blocks a small JSON object tells, or signed bytes.</summary>
internal static class BitsAndBytesReader
{
    private const int LongestState = 1 << 16;

    public static WeightMatrix? Read8(WeightParts parts, TensorData codes, QuantizationScheme? scheme)
    {
        if (!IsOfKind(parts, scheme, BitsAndBytesKind.Int8)) return null;

        var scales = parts.Require(ColumnScales, "int8 weights of bitsandbytes have a scale for each output there");
        if (scales is null || !parts.IsOf(codes, TensorType.I8) | !parts.IsMatrix(codes) | !parts.IsOf(scales, TensorType.F32)) return null;
        if (!parts.HasShape(scales, "a scale for each output", codes.Info.Shape[0])) return null;

        if (parts.Find(CodeOrder) is { } order && (!parts.IsOf(order, TensorType.U8) || parts.Fault(!ScaleValues.IsZero(order), $"Tensor {TensorName.Quote(order.Info.Name)} is not 0: the weights lie in an order other than row by row, which is not supported."))) return null;

        parts.CheckScales(scales);
        return new BitsAndBytes8Matrix(codes.Info.Name, (int)codes.Info.Shape[0], (int)codes.Info.Shape[1], codes, scales);
    }

    public static WeightMatrix? Read4(WeightParts parts, TensorData codes, QuantizationScheme? scheme)
    {
        const string Why = "4-bit weights of bitsandbytes need it";
        var (absmax, map) = (parts.Require(AbsMax, Why), parts.Require(QuantMap, Why));
        string kind = parts.Has(StateFp4) ? "fp4" : "nf4";
        if (!IsOfKind(parts, scheme, kind == "fp4" ? BitsAndBytesKind.Fp4 : BitsAndBytesKind.Nf4)) return null;

        var state = parts.Require(kind == "fp4" ? StateFp4 : StateNf4, Why);
        if (absmax is null || map is null || state is null || !parts.IsOf(state, TensorType.U8) | !parts.IsOf(codes, [TensorType.U8, .. PlainMatrix.Types])) return null;      // bytes, that may be called numbers
        if (!parts.IsOf(map, TensorType.F32) | !parts.HasShape(map, "an entry for each code", TableCodes.Entries)) return null;
        if (ReadState(parts, state, kind) is not { } said) return null;

        long count = (long)said.Rows * said.Columns, bytes = (count + 1) / 2;
        bool fits = codes.Info.ByteCount == bytes;
        if (parts.Fault(!fits, $"Tensor {WeightParts.Shown(codes)}, but {TensorName.Quote(state.Info.Name)} says [{said.Rows}, {said.Columns}], which takes {bytes} bytes.")) return null;
        if (ReadScales(parts, absmax, said, (count + said.BlockSize - 1) / said.BlockSize) is not { } scales) return null;

        parts.Warn(ScaleValues.HasNotFinite(map), $"Tensor {TensorName.Quote(map.Info.Name)} has entries that are not finite; the weights of these codes are not either.");
        float[] table = new float[TableCodes.Entries];
        ScaleValues.Read(map, 0, table);
        return new BitsAndBytes4Matrix(codes.Info.Name, said.Rows, said.Columns, kind, said.BlockSize, codes, table, scales);
    }

    private static bool IsOfKind(WeightParts parts, QuantizationScheme? scheme, BitsAndBytesKind kind) =>
        !parts.Fault(scheme is QuantizationScheme.BitsAndBytes said && said.Kind != kind, $"Weight {TensorName.Quote(parts.Name)} is {kind} by its tensors, but the config says {(scheme as QuantizationScheme.BitsAndBytes)?.Kind}.");

    private static IBlockScales? ReadScales(WeightParts parts, TensorData absmax, State said, long blocks)
    {
        if (said.NestedBlockSize is not { } nestedSize)
        {
            if (!parts.IsOf(absmax, TensorType.F32) | !parts.HasShape(absmax, $"a scale for {said.BlockSize} weights", blocks)) return null;

            parts.CheckScales(absmax);
            return new PlainScales(absmax);
        }

        const string Why = "the scales are quantized themselves";
        var (nested, map) = (parts.Require(NestedAbsMax, Why), parts.Require(NestedQuantMap, Why));
        if (nested is null || map is null || !parts.IsOf(absmax, TensorType.U8) | !parts.IsOf(nested, TensorType.F32) | !parts.IsOf(map, TensorType.F32)) return null;
        if (!parts.HasShape(absmax, $"a scale for {said.BlockSize} weights", blocks) | !parts.HasShape(map, "an entry for each code", 256)
            | !parts.HasShape(nested, $"a scale for {nestedSize} scales", (blocks + nestedSize - 1) / nestedSize))
        {
            return null;
        }

        parts.CheckScales(nested);
        return new NestedScales(absmax, map, nested, nestedSize, said.NestedOffset);
    }

    private static State? ReadState(WeightParts parts, TensorData tensor, string kind)
    {
        string name = TensorName.Quote(tensor.Info.Name);
        if (parts.Fault(tensor.Info.ByteCount > LongestState, $"Tensor {name} has {tensor.Info.ByteCount} bytes; expected a small JSON object.")) return null;

        try
        {
            using var json = JsonDocument.Parse(tensor.Bytes(0, (int)tensor.Info.ByteCount).ToArray(), new() { AllowDuplicateProperties = false });
            var root = json.RootElement;
            bool isKnown = root.GetProperty("quant_type").GetString() == kind;
            long[] shape = [.. root.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
            int blockSize = root.GetProperty("blocksize").GetInt32();
            int? nested = root.TryGetProperty("nested_blocksize", out var size) ? size.GetInt32() : null;
            float offset = nested is null ? 0 : root.GetProperty("nested_offset").GetSingle();

            parts.Fault(!isKnown, $"Tensor {name} says another quant_type than its name.");
            parts.Fault(shape is not [>= 1 and <= int.MaxValue, >= 1 and <= int.MaxValue], $"Tensor {name} says shape [{string.Join(", ", shape)}]; expected that of a matrix.");
            parts.Warn(!float.IsFinite(offset), $"Tensor {name} says a nested_offset beyond float32; no weight is finite.");
            parts.Fault(blockSize < 1 || nested < 1, $"Tensor {name} says blocks of {blockSize}{(nested is null ? "" : $" and {nested}")}; expected 1 or more.");
            return parts.Faults.Count == 0 ? new((int)shape[0], (int)shape[1], blockSize, nested, offset) : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            parts.Fault(true, $"Tensor {name} is not the JSON of a quant_state: {e.Message}");
            return null;
        }
    }

    /// <summary>What the JSON says.</summary>
    private sealed record State(int Rows, int Columns, int BlockSize, int? NestedBlockSize, float NestedOffset);
}
