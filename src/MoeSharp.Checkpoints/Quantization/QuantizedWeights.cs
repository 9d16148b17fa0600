using static MoeSharp.Checkpoints.QuantizedNames;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Finds the quantized weights of a file or folder, checks them, and makes matrices of them. Nothing is decoded; of the values only those
/// are read that could contradict: shapes, groups, scales.
/// </summary>
public static class QuantizedWeights
{
    /// <summary>All quantized weights of a source.</summary>
    /// <param name="source">A file or a folder.</param>
    /// <param name="config">What its config says; null to go by the tensors alone: GPTQ is then of version 1, FP8 blocks are 128x128, packed numbers have four bits.</param>
    /// <exception cref="CheckpointException">Tensors are missing, contradict each other or the config; one message lists all faults.</exception>
    public static IReadOnlyList<QuantizedWeight> Find(ITensorSource source, QuantizationConfig? config = null)
    {
        ArgumentNullException.ThrowIfNull(source);

        var weights = new List<QuantizedWeight>();
        var faults = new List<string>();
        foreach (var parts in QuantizedNames.Find(source).Weights)
        {
            if (Read(parts, config?.SchemeOf(parts.Name)) is { } weight) weights.Add(weight);
            faults.AddRange(parts.Faults);
        }

        return faults.Count == 0 ? weights : throw CheckpointException.Listing(source.Path, faults);
    }

    /// <summary>A tensor of GGUF blocks, [rows, bytes] or [experts, rows, bytes].</summary>
    /// <param name="blocks">The tensor: bytes, whatever is in them; or numbers of F32, F16 or BF16.</param>
    /// <param name="type">What is in them.</param>
    /// <param name="file">The file, for messages.</param>
    /// <exception cref="CheckpointException">Rows are no whole number of blocks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The type is none of weights: integers, <see cref="GgufType.F64"/>.</exception>
    public static QuantizedWeight FromGguf(TensorData blocks, GgufType type, string file)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        if (!GgufTypes.Decodable.Contains(type)) throw new ArgumentOutOfRangeException(nameof(type), type, "There is no such type of weights.");

        var parts = new WeightParts(blocks.Info.Name, [new(Stacked, blocks)]);
        return Read(parts, blocks, matrixRank: 2, each => GgufTypes.Read(each, each.Find(Stacked)!, type)) ?? throw CheckpointException.Listing(file, parts.Faults);
    }

    /// <summary>The weight of some parts; null when they are at fault.</summary>
    internal static QuantizedWeight? Read(WeightParts parts, QuantizationScheme? scheme)
    {
        bool isBlocked = parts.Has(Blocks) || parts.Has(BlockScales) || parts.Has(DottedBlocks);
        var codes = parts.FindAny(GptqCodes, Blocks, DottedBlocks, Packed, Weight, Stacked);      // in the order of ReadMatrix
        if (codes is null)
        {
            // a companion of something that is not there
            string expected = isBlocked ? Blocks : parts.Has(StackedScaleInverse) ? Stacked : parts.Has(GptqScales) || parts.Has(GptqZeros) || parts.Has(GptqGroups) ? GptqCodes
                : parts.Has(PackedShape) || parts.Has(GroupIndex) || parts.Has(GlobalScale) ? Packed : Weight;
            parts.Require(expected, "there are scales or other tensors of it");
            return null;
        }

        return Read(parts, codes, isBlocked ? 3 : 2, each => ReadMatrix(each, scheme));
    }

    /// <summary>One matrix, or one for each expert where the codes have a dimension more.</summary>
    private static QuantizedWeight? Read(WeightParts parts, TensorData codes, int matrixRank, Func<WeightParts, WeightMatrix?> read)
    {
        bool isStacked = codes.Info.Shape.Count == matrixRank + 1;
        long experts = isStacked ? codes.Info.Shape[0] : 1;
        if (parts.Fault(experts < 1, $"Tensor {WeightParts.Shown(codes)}; it has no experts.")) return null;

        var matrices = new List<WeightMatrix>();
        for (long expert = 0; expert < experts; expert++)
        {
            var each = isStacked ? parts.OfExpert(expert, experts) : parts;
            var matrix = read(each);
            if (matrix is null || parts.Faults.Count > 0) return null;
            matrices.Add(matrix);
            parts.TakeAsked(each);
        }

        foreach (var extra in parts.Unasked) parts.Fault(!IsNothing(extra), $"Tensor {WeightParts.Shown(extra.Data)}, but {TensorName.Quote(codes.Info.Name)} is {matrices[0].Format}, which has none.");
        if (parts.Faults.Count > 0) return null;

        long[] shape = [matrices[0].Rows, matrices[0].Columns];
        return new QuantizedWeight(codes.Info.Name, isStacked ? [experts, .. shape] : shape, matrices, parts.Warnings);
    }

    // zero points that are all zero
    private static bool IsNothing(WeightPart part) => part.Part == ZeroPoint && ScaleValues.IsZero(part.Data);

    /// <summary>The format follows from which tensors there are and of what types; a config that says another is contradicted.</summary>
    private static WeightMatrix? ReadMatrix(WeightParts parts, QuantizationScheme? scheme)
    {
        if (parts.Has(GptqCodes)) return Agrees<QuantizationScheme.Gptq, QuantizationScheme.Awq>(parts, scheme, "GPTQ or AWQ") ? GptqReader.Read(parts, scheme) : null;
        if (parts.Has(Blocks) || parts.Has(DottedBlocks)) return Agrees<QuantizationScheme.Mxfp4>(parts, scheme, "MXFP4") ? Fp4Reader.ReadBlocks(parts) : null;
        if (parts.Find(Packed) is { } packed) return ReadPacked(parts, packed, scheme);

        var codes = parts.FindAny(Weight, Stacked)!;        // there are codes, or there would be no matrix
        if (parts.Has(ColumnScales)) return Agrees<QuantizationScheme.BitsAndBytes>(parts, scheme, "bitsandbytes") ? BitsAndBytesReader.Read8(parts, codes, scheme) : null;
        if (parts.Has(AbsMax) || parts.Has(StateNf4) || parts.Has(StateFp4)) return Agrees<QuantizationScheme.BitsAndBytes>(parts, scheme, "bitsandbytes") ? BitsAndBytesReader.Read4(parts, codes, scheme) : null;

        return ReadScaled(parts, codes, scheme);
    }

    private static WeightMatrix? ReadPacked(WeightParts parts, TensorData packed, QuantizationScheme? scheme)
    {
        if (packed.Info.Type == TensorType.I32)
        {
            return Agrees<QuantizationScheme.PackedInteger>(parts, scheme, "pack-quantized") ? IntegerReader.ReadPacked(parts, packed, scheme as QuantizationScheme.PackedInteger) : null;
        }

        var scales = parts.Require(WeightScale, "packed weights need scales");
        if (scales is null || !parts.IsOf(packed, TensorType.I32, TensorType.U8)) return null;
        if (scales.Info.Type == TensorType.F8E4M3 || parts.Has(GlobalScale)) return Agrees<QuantizationScheme.Nvfp4>(parts, scheme, "NVFP4") ? Fp4Reader.ReadNv(parts, packed) : null;

        return Agrees<QuantizationScheme.Mxfp4>(parts, scheme, "MXFP4") ? Fp4Reader.ReadMx(parts, packed, scales) : null;
    }

    private static WeightMatrix? ReadScaled(WeightParts parts, TensorData codes, QuantizationScheme? scheme)
    {
        var type = codes.Info.Type;
        if (parts.Has(SecondScale)) return Agrees<QuantizationScheme.Nvfp4>(parts, scheme, "NVFP4") ? Fp4Reader.ReadNv(parts, codes) : null;

        var scales = parts.FindAny(ScaleInverse, StackedScaleInverse, WeightScale, Scale);
        if (parts.Fault(scales is null, $"Tensor {WeightParts.Shown(codes)} and has no scale.")) return null;
        if (type is TensorType.U8 && scales!.Info.Type == TensorType.F8E4M3)
        {
            parts.Require(SecondScale, "NVFP4 keeps the scale of the tensor there");
            return null;
        }

        switch (type)
        {
            case TensorType.F8E4M3 or TensorType.F8E5M2:
                return Agrees<QuantizationScheme.Fp8, QuantizationScheme.Mxfp8>(parts, scheme, "FP8") ? Fp8Reader.Read(parts, codes, scales!, scheme) : null;
            case TensorType.I8 or TensorType.U8 or TensorType.F4 when ScaleValues.Exponents.Contains(scales!.Info.Type):
                return Agrees<QuantizationScheme.Mxfp4, QuantizationScheme.Fp8>(parts, scheme, "MXFP4") ? Fp4Reader.ReadMx(parts, codes, scales) : null;
            case TensorType.I8 when parts.Has(WeightScale):
                return Agrees<QuantizationScheme.Integer8>(parts, scheme, "int-quantized") ? IntegerReader.ReadBytes(parts, codes, scheme as QuantizationScheme.Integer8) : null;
            default:
                parts.Fault(true, $"Tensor {WeightParts.Shown(codes)}, but {TensorName.Quote(scales!.Info.Name)} is a scale for it: weights of this type have none.");
                return null;
        }
    }

    private static bool Agrees<TScheme>(WeightParts parts, QuantizationScheme? scheme, string found) => Agrees<TScheme, TScheme>(parts, scheme, found);

    private static bool Agrees<TScheme, TOther>(WeightParts parts, QuantizationScheme? scheme, string found) =>
        !parts.Fault(scheme is not (null or TScheme or TOther), $"Weight {TensorName.Quote(parts.Name)} is {found} by its tensors, but the config says {scheme?.GetType().Name}.");
}
