namespace MoeSharp.Checkpoints;

/// <summary>Matrices of blocks by the type of the blocks.</summary>
internal static class GgufTypes
{
    private delegate WeightMatrix? Reader(WeightParts parts, TensorData blocks);

    private static readonly Dictionary<GgufType, (Reader Read, int Length, int ByteCount)> Types = new()
    {
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

    /// <summary>A matrix [rows, bytes of a row].</summary>
    public static WeightMatrix? Read(WeightParts parts, TensorData blocks, GgufType type) => Types[type].Read(parts, blocks);

    /// <summary>Numbers and bytes of a block.</summary>
    public static (int Length, int ByteCount) SizeOf(GgufType type) => (Types[type].Length, Types[type].ByteCount);

    private static (Reader, int, int) Of<TBlock>()
        where TBlock : struct, IGgufBlock => (Read<TBlock>, TBlock.Length, TBlock.ByteCount);

    private static GgufMatrix<TBlock>? Read<TBlock>(WeightParts parts, TensorData blocks)
        where TBlock : struct, IGgufBlock
    {
        if (!parts.IsOf(blocks, TensorType.U8, TensorType.F16, TensorType.BF16) || !parts.IsMatrix(blocks)) return null;

        long rowBytes = blocks.Info.ByteCount / blocks.Info.Shape[0], columns = rowBytes / TBlock.ByteCount * TBlock.Length;
        bool isWhole = rowBytes % TBlock.ByteCount == 0 && columns <= int.MaxValue;
        return parts.Fault(!isWhole, $"Tensor {WeightParts.Shown(blocks)}; rows of {TBlock.Name} are blocks of {TBlock.ByteCount} bytes.")
            ? null
            : new GgufMatrix<TBlock>(blocks.Info.Name, (int)blocks.Info.Shape[0], (int)columns, blocks);
    }
}
