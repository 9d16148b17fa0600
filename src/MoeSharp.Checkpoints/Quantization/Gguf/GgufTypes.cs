namespace MoeSharp.Checkpoints;

/// <summary>Matrices of blocks by the type of the blocks.</summary>
internal static class GgufTypes
{
    private delegate WeightMatrix? Reader(WeightParts parts, TensorData blocks);

    private static readonly Dictionary<GgufType, (Reader Read, int Length, int ByteCount)> Types = new()
    {
        [GgufType.F32] = Of<F32Block>(),
        [GgufType.F16] = Of<F16Block>(),
        [GgufType.BF16] = Of<BF16Block>(),
        [GgufType.Q4_0] = Of<Q4Block0>(),
        [GgufType.Q4_1] = Of<Q4Block1>(),
        [GgufType.Q5_0] = Of<Q5Block0>(),
        [GgufType.Q5_1] = Of<Q5Block1>(),
        [GgufType.Q8_0] = Of<Q8Block0>(),
        [GgufType.Q2_K] = Of<Q2BlockK>(),
        [GgufType.Q3_K] = Of<Q3BlockK>(),
        [GgufType.Q4_K] = Of<Q4BlockK>(),
        [GgufType.Q5_K] = Of<Q5BlockK>(),
        [GgufType.Q6_K] = Of<Q6BlockK>(),
        [GgufType.MXFP4] = Of<Mxfp4Block>(),
    };

    /// <summary>The types of weights, which can be decoded.</summary>
    public static IReadOnlyCollection<GgufType> Decodable => Types.Keys;

    /// <summary>The type of the elements of a tensor; bytes where it holds blocks.</summary>
    public static TensorType ElementType(GgufType type) => type switch
    {
        GgufType.F32 => TensorType.F32,
        GgufType.F16 => TensorType.F16,
        GgufType.BF16 => TensorType.BF16,
        GgufType.F64 => TensorType.F64,
        GgufType.I8 => TensorType.I8,
        GgufType.I16 => TensorType.I16,
        GgufType.I32 => TensorType.I32,
        GgufType.I64 => TensorType.I64,
        _ => TensorType.U8,
    };

    /// <summary>A matrix [rows, bytes of a row].</summary>
    public static WeightMatrix? Read(WeightParts parts, TensorData blocks, GgufType type) => Types[type].Read(parts, blocks);

    /// <summary>Numbers and bytes of a block; of types without blocks, one number.</summary>
    public static (int Length, int ByteCount) SizeOf(GgufType type) =>
        Types.TryGetValue(type, out var known) ? (known.Length, known.ByteCount) : (1, ElementType(type).BitSize() / 8);

    private static (Reader, int, int) Of<TBlock>()
        where TBlock : struct, IGgufBlock => (Read<TBlock>, TBlock.Length, TBlock.ByteCount);

    private static GgufMatrix<TBlock>? Read<TBlock>(WeightParts parts, TensorData blocks)
        where TBlock : struct, IGgufBlock
    {
        if (!parts.IsOf(blocks, TensorType.U8, TensorType.F32, TensorType.F16, TensorType.BF16) || !parts.IsMatrix(blocks)) return null;

        long rowBytes = blocks.Info.ByteCount / blocks.Info.Shape[0], columns = rowBytes / TBlock.ByteCount * TBlock.Length;
        bool isWhole = rowBytes % TBlock.ByteCount == 0 && columns <= int.MaxValue;
        return parts.Fault(!isWhole, $"Tensor {WeightParts.Shown(blocks)}; rows of {TBlock.Name} are blocks of {TBlock.ByteCount} bytes.")
            ? null
            : new GgufMatrix<TBlock>(blocks.Info.Name, (int)blocks.Info.Shape[0], (int)columns, blocks);
    }
}
