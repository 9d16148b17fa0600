using System.Runtime.InteropServices;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary>A weight of random codes in one format, to decode.</summary>
/// <param name="Name">The word of the command line.</param>
/// <param name="Create">The weight [rows, columns].</param>
internal sealed record DecoderCase(string Name, Func<int, int, Random, DecoderWeight> Create)
{
    private const string Module = "experts.0.gate_proj";
    private const int Block = 128, Group = 32, NvGroup = 16, WideGroup = 128, PerWord = 8;

    /// <summary>Every format that is measured; those with an obvious loop over arrays first.</summary>
    public static IReadOnlyList<DecoderCase> All { get; } =
    [
        new("fp8", Fp8),
        new("mxfp4", Mxfp4),
        new("int4", Int4),
        new("nvfp4", (rows, columns, random) => Of(random, config: null, (".weight_packed", TensorType.U8, [rows, columns / 2]), (".weight_scale", TensorType.F8E4M3, [rows, columns / NvGroup]), (".weight_global_scale", TensorType.F32, [1]))),
        new("gptq", (rows, columns, random) => Of(random, config: null, (".qweight", TensorType.I32, [columns / PerWord, rows]), (".qzeros", TensorType.I32, [columns / WideGroup, rows / PerWord]), (".scales", TensorType.F16, [columns / WideGroup, rows]))),
        new("awq", (rows, columns, random) => Of(random, config: null, (".qweight", TensorType.I32, [columns, rows / PerWord]), (".qzeros", TensorType.I32, [columns / WideGroup, rows / PerWord]), (".scales", TensorType.F16, [columns / WideGroup, rows]))),
        new("int8", (rows, columns, random) => Of(random, config: null, (".weight", TensorType.I8, [rows, columns]), (".weight_scale", TensorType.BF16, [rows, 1]))),
        .. GgufTypes.Decodable.Order().Select(Gguf),
    ];

    private static DecoderWeight Fp8(int rows, int columns, Random random)
    {
        var weight = Of(random, config: null, (".weight", TensorType.F8E4M3, [rows, columns]), (".weight_scale_inv", TensorType.F32, [rows / Block, columns / Block]));
        byte[] codes = weight.Bytes[0];
        float[] scales = MemoryMarshal.Cast<byte, float>(weight.Bytes[1]).ToArray();
        return weight with
        {
            ObviousLoop = (first, to) =>
            {
                int i = 0;
                for (int row = first; i < to.Length; row++)
                {
                    for (int column = 0; column < columns; column++) to[i++] = SmallFloat.FromE4M3(codes[row * columns + column]) * scales[row / Block * (columns / Block) + column / Block];
                }
            },
        };
    }

    private static DecoderWeight Mxfp4(int rows, int columns, Random random)
    {
        var weight = Of(random, config: null, ("_blocks", TensorType.U8, [rows, columns / Group, Group / 2]), ("_scales", TensorType.U8, [rows, columns / Group]));
        byte[] codes = weight.Bytes[0], exponents = weight.Bytes[1];
        return weight with
        {
            ObviousLoop = (first, to) =>
            {
                for (int i = 0; i < to.Length; i++)
                {
                    int index = first * columns + i;
                    to[i] = SmallFloat.FromE2M1(Nibble(codes, index)) * SmallFloat.FromE8M0(exponents[index / Group]);
                }
            },
        };
    }

    private static DecoderWeight Int4(int rows, int columns, Random random)
    {
        var weight = Of(random, config: null, (".weight_packed", TensorType.I32, [rows, columns / PerWord]), (".weight_scale", TensorType.BF16, [rows, columns / Group]), (".weight_shape", TensorType.I64, [2]));
        byte[] codes = weight.Bytes[0];
        ushort[] scales = MemoryMarshal.Cast<byte, ushort>(weight.Bytes[1]).ToArray();
        return weight with
        {
            ObviousLoop = (first, to) =>
            {
                for (int i = 0; i < to.Length; i++)
                {
                    int index = first * columns + i;
                    to[i] = (Nibble(codes, index) - 8) * BitConverter.Int32BitsToSingle(scales[index / Group] << 16);
                }
            },
        };
    }

    private static byte Nibble(byte[] codes, int index) => (byte)((codes[index / 2] >> (index % 2 * 4)) & 0xf);

    private static DecoderCase Gguf(GgufType type) => new(string.Concat($"gguf-{type}".Select(char.ToLowerInvariant)), (rows, columns, random) =>
    {
        var (length, bytes) = GgufTypes.SizeOf(type);
        byte[] blocks = new byte[(long)rows * columns / length * bytes];
        random.NextBytes(blocks);
        for (int i = 0; i + 1 < blocks.Length; i += 2) blocks[i + 1] &= 0xbf;      // no scale, wherever it is, is infinite or not a number
        var data = TensorData.FromMemory("blocks", TensorType.U8, [rows, columns / length * bytes], blocks);
        return new DecoderWeight(QuantizedWeights.FromGguf(data, type, "memory").Matrices[0], [blocks]);
    });

    private static DecoderWeight Of(Random random, QuantizationConfig? config, params (string Part, TensorType Type, long[] Shape)[] parts)
    {
        var tensors = new DecoderTensors();
        foreach (var (part, type, shape) in parts) tensors.Add(Module + part, type, shape, random);

        return new DecoderWeight(QuantizedWeights.Find(tensors, config).Single().Matrices[0], tensors.Bytes);
    }
}

/// <summary>A weight to decode.</summary>
/// <param name="Matrix">The weight.</param>
/// <param name="Bytes">All its bytes, part by part.</param>
internal sealed record DecoderWeight(WeightMatrix Matrix, IReadOnlyList<byte[]> Bytes)
{
    /// <summary>Rows from a first one on, decoded by an obvious loop over plain arrays; null where only the formula of each weight is there.</summary>
    public Action<int, float[]>? ObviousLoop { get; init; }
}
