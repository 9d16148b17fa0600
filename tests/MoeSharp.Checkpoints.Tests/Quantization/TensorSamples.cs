using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Tensors in memory, by name.</summary>
internal sealed class MemoryTensors : ITensorSource
{
    public const string Module = "model.layers.0.mlp.experts.3.gate_proj";

    private readonly OrderedDictionary<string, TensorData> _tensors = [];

    public string Path => "memory";

    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors.ToDictionary(tensor => tensor.Key, tensor => tensor.Value.Info);

    public TensorData Data(string name) => _tensors[name];

    public MemoryTensors Add(string name, TensorType type, long[] shape, byte[] bytes)
    {
        _tensors[name] = TensorData.FromMemory(name, type, shape, bytes);
        return this;
    }

    /// <summary>Adds a part of the module with random bytes, or with numbers above 0 where it is of floats or of exponents.</summary>
    public MemoryTensors With(Random random, string part, TensorType type, long[] shape)
    {
        int count = (int)shape.Aggregate(1L, (product, size) => product * size);
        byte[] bytes = new byte[count * type.BitSize() / 8];
        random.NextBytes(bytes);
        for (int i = 0; i < count; i++)
        {
            float scale = random.NextSingle() + 0.01f;
            if (type == TensorType.F32) BitConverter.TryWriteBytes(bytes.AsSpan(4 * i), scale);
            if (type == TensorType.F16) BitConverter.TryWriteBytes(bytes.AsSpan(2 * i), (Half)scale);
            if (type == TensorType.BF16) BitConverter.TryWriteBytes(bytes.AsSpan(2 * i), (ushort)(BitConverter.SingleToUInt32Bits(scale) >> 16));
            if (type == TensorType.F8E8M0 || (type == TensorType.U8 && part.Contains("scale", StringComparison.Ordinal))) bytes[i] = (byte)random.Next(255);
        }

        return Add(Module + part, type, shape, bytes);
    }

    public MemoryTensors Remove(string name)
    {
        _tensors.Remove(name);
        return this;
    }
}

/// <summary>A weight of a format with random codes: not what a quantizer would write, but every code and every edge.</summary>
internal sealed record TensorSample(string Name, MemoryTensors Tensors, string? Config, GgufType? Gguf = null)
{
    private const string Module = MemoryTensors.Module;

    public static IReadOnlyList<TensorSample> All { get; } = [.. Create()];

    public static TensorSample Of(string name) => All.Single(sample => sample.Name == name);

    public override string ToString() => Name;

    public QuantizedWeight Read() => Gguf is { } type
        ? QuantizedWeights.FromGguf(Tensors.Data("blocks"), type, "memory")
        : QuantizedWeights.Find(Tensors, Config is null ? null : Parse(Config)).Single();

    public static QuantizationConfig Parse(string config)
    {
        using var json = System.Text.Json.JsonDocument.Parse(config);
        return QuantizationConfig.Read(json.RootElement, "config.json");
    }

    private static IEnumerable<TensorSample> Create()
    {
        var random = new Random(20_261_128);
        foreach (var (rows, columns) in ((int, int)[])[(1, 1), (130, 301), (256, 128), (17, 96)])
        {
            foreach (var scale in (TensorType[])[TensorType.F32, TensorType.BF16, TensorType.F16, TensorType.F8E8M0, TensorType.U8])
            {
                yield return new($"fp8 blocks {rows}x{columns} {scale}", With(random, ".weight", TensorType.F8E4M3, [rows, columns]).With(random, ".weight_scale_inv", scale, [Up(rows, 128), Up(columns, 128)]), null);
            }
        }

        const string Blocks16 = """{"quant_method": "fp8", "weight_block_size": [16, 24]}""";
        yield return new("fp8 blocks of 16x24", With(random, ".weight", TensorType.F8E4M3, [50, 70]).With(random, ".weight_scale_inv", TensorType.F32, [4, 3]), Blocks16);
        yield return new("fp8 e5m2 channels", With(random, ".weight", TensorType.F8E5M2, [50, 70]).With(random, ".weight_scale", TensorType.F32, [50, 1]), null);
        yield return new("fp8 tensor", With(random, ".weight", TensorType.F8E4M3, [50, 70]).With(random, ".weight_scale", TensorType.F32, [1]), null);
        yield return new("fp8 tensor, config", With(random, ".weight", TensorType.F8E4M3, [50, 70]).With(random, ".weight_scale", TensorType.F32, [1, 1]), CompressedTensors("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "tensor"}"""));
        yield return new("fp8 stacked", With(random, "", TensorType.F8E4M3, [3, 140, 70]).With(random, "_scale_inv", TensorType.F32, [3, 2, 1]), null);
        yield return new("fp8 stacked, a scale for each", With(random, "", TensorType.F8E4M3, [3, 14, 70]).With(random, "_scale_inv", TensorType.F32, [3]), null);
        yield return new("fp8 stacked, a scale for each half", new MemoryTensors().Add("experts.gate_up_proj", TensorType.F8E4M3, [3, 14, 70], Random(random, 3 * 14 * 70)).Add("experts.gate_up_proj_scale_inv", TensorType.F32, [3, 2, 3], Bytes<float>([.. Enumerable.Range(1, 18).Select(i => i / 8f)])), Blocks16);
        yield return new("fp8 groups", With(random, ".weight", TensorType.F8E4M3, [19, 77]).With(random, ".weight_scale", TensorType.BF16, [19, 3]), CompressedTensors("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32}"""));
        yield return new("mxfp8", With(random, ".weight", TensorType.F8E4M3, [19, 96]).With(random, ".weight_scale", TensorType.U8, [19, 3]), CompressedTensors("mxfp8-quantized", """{"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32}"""));
        yield return new("mxfp4 gpt-oss", With(random, "_blocks", TensorType.U8, [2, 19, 3, 16]).With(random, "_scales", TensorType.U8, [2, 19, 3]), """{"quant_method": "mxfp4"}""");
        foreach (var type in (TensorType[])[TensorType.I8, TensorType.U8, TensorType.F4])
        {
            yield return new($"mxfp4 deepseek-v4 {type}", With(random, ".weight", type, [19, type == TensorType.F4 ? 96 : 48]).With(random, ".scale", TensorType.F8E8M0, [19, 3]), """{"quant_method": "fp8", "weight_block_size": [128, 128], "scale_fmt": "ue8m0", "expert_dtype": "fp4"}""");
        }

        yield return new("mxfp4 compressed-tensors", With(random, ".weight_packed", TensorType.U8, [19, 48]).With(random, ".weight_scale", TensorType.U8, [19, 3]), CompressedTensors("mxfp4-pack-quantized", """{"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32}"""));
        yield return new("nvfp4 compressed-tensors", With(random, ".weight_packed", TensorType.U8, [19, 48]).With(random, ".weight_scale", TensorType.F8E4M3, [19, 6]).With(random, ".weight_global_scale", TensorType.F32, [1]), CompressedTensors("nvfp4-pack-quantized", """{"num_bits": 4, "type": "float", "group_size": 16}"""));
        yield return new("nvfp4 modelopt", With(random, ".weight", TensorType.U8, [19, 48]).With(random, ".weight_scale", TensorType.F8E4M3, [19, 6]).With(random, ".weight_scale_2", TensorType.F32, []), """{"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}""");
        foreach (int bits in (int[])[4, 8, 2])
        {
            foreach (var (rows, columns, group) in ((int, int, int)[])[(19, 96, 32), (33, 77, 32), (5, 7, 3), (70, 128, 128)])
            {
                foreach (bool isSymmetric in (bool[])[true, false])
                {
                    string config = CompressedTensors("pack-quantized", $$"""{"num_bits": {{bits}}, "type": "int", "symmetric": {{(isSymmetric ? "true" : "false")}}, "strategy": "group", "group_size": {{group}}}""");
                    yield return new($"packed int{bits} {rows}x{columns} {(isSymmetric ? "sym" : "asym")}", Packed(random, bits, rows, columns, group, isSymmetric, hasIndex: false), config);
                    yield return new($"packed int{bits} {rows}x{columns} {(isSymmetric ? "sym" : "asym")} g_idx", Packed(random, bits, rows, columns, group, isSymmetric, hasIndex: true), config);
                }
            }
        }

        yield return new("packed int4, a scale for the tensor", Packed(random, 4, 19, 77, 77, isSymmetric: true, hasIndex: false).With(random, ".weight_scale", TensorType.BF16, [1]), null);
        yield return new("int8 channels", With(random, ".weight", TensorType.I8, [19, 77]).With(random, ".weight_scale", TensorType.BF16, [19, 1]), null);
        yield return new("int8 groups, asymmetric", With(random, ".weight", TensorType.I8, [19, 77]).With(random, ".weight_scale", TensorType.F32, [19, 11]).With(random, ".weight_zero_point", TensorType.I8, [19, 11]), null);
        yield return new("int8 tensor, asymmetric", With(random, ".weight", TensorType.I8, [19, 77]).With(random, ".weight_scale", TensorType.F32, [1]).With(random, ".weight_zero_point", TensorType.I8, [1]), null);
        yield return new("int8 groups, g_idx", With(random, ".weight", TensorType.I8, [19, 77]).With(random, ".weight_scale", TensorType.F32, [19, 11]).Add($"{Module}.weight_g_idx", TensorType.I32, [77], Index(random, 77, 11)), null);
        yield return new("int8 groups, asymmetric, g_idx", With(random, ".weight", TensorType.I8, [19, 77]).With(random, ".weight_scale", TensorType.F32, [19, 11]).With(random, ".weight_zero_point", TensorType.I8, [19, 11]).Add($"{Module}.weight_g_idx", TensorType.I32, [77], Index(random, 77, 11)), null);
        foreach (int bits in (int[])[4, 8, 2])
        {
            foreach (int version in (int[])[1, 2])
            {
                foreach (bool hasIndex in (bool[])[true, false])
                {
                    yield return new($"gptq v{version} int{bits}{(hasIndex ? " g_idx" : "")}", Gptq(random, bits, 40, 96, 32, hasIndex), $$"""{"quant_method": "gptq", "bits": {{bits}}, "group_size": 32, "desc_act": {{(hasIndex ? "true" : "false")}}, "checkpoint_format": "{{(version == 1 ? "gptq" : "gptq_v2")}}"}""");
                }
            }
        }

        yield return new("gptq ragged", Gptq(random, 4, 40, 72, 32, hasIndex: false), """{"quant_method": "gptq", "bits": 4, "group_size": 32}""");
        yield return new("gptq one group", Gptq(random, 4, 40, 72, 72, hasIndex: false), """{"quant_method": "gptq", "bits": 4, "group_size": -1}""");
        yield return new("awq", With(random, ".qweight", TensorType.I32, [77, 5]).With(random, ".qzeros", TensorType.I32, [3, 5]).With(random, ".scales", TensorType.F16, [3, 40]), """{"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}""");
        yield return new("nf4", BitsAndBytes(random, "nf4", 19, 77, 64), null);
        yield return new("fp4 odd blocks", BitsAndBytes(random, "fp4", 19, 77, 33), null);
        yield return new("nf4 nested", Nested(BitsAndBytes(random, "nf4", 40, 96, 64), random, 60), null);
        yield return new("int8 bitsandbytes", With(random, ".weight", TensorType.I8, [19, 77]).With(random, ".SCB", TensorType.F32, [19]), """{"quant_method": "bitsandbytes", "load_in_8bit": true}""");
        foreach (var type in GgufTypes.Decodable.Order()) yield return OfGguf(random, type);
    }

    private static MemoryTensors With(Random random, string part, TensorType type, long[] shape) => new MemoryTensors().With(random, part, type, shape);

    private static TensorSample OfGguf(Random random, GgufType type)
    {
        int bytes = GgufSizes.Of(type).ByteCount;
        byte[] blocks = new byte[5 * 3 * bytes];
        random.NextBytes(blocks);
        return new($"gguf {type}", new MemoryTensors().Add("blocks", TensorType.U8, [5, 3 * bytes], blocks), null, type);
    }

    private static MemoryTensors Packed(Random random, int bits, int rows, int columns, int group, bool isSymmetric, bool hasIndex)
    {
        int groups = Up(columns, group), perWord = 32 / bits;
        MemoryTensors tensors = With(random, ".weight_packed", TensorType.I32, [rows, Up(columns, perWord)]).With(random, ".weight_scale", TensorType.BF16, [rows, groups]);
        tensors.Add($"{Module}.weight_shape", TensorType.I64, [2], Bytes<long>(rows, columns));
        if (!isSymmetric) tensors.Add($"{Module}.weight_zero_point", TensorType.I32, [Up(rows, perWord), groups], Random(random, Up(rows, perWord) * groups * 4));
        return hasIndex ? tensors.Add($"{Module}.weight_g_idx", TensorType.I32, [columns], Index(random, columns, groups)) : tensors;
    }

    private static MemoryTensors Gptq(Random random, int bits, int rows, int columns, int group, bool hasIndex)
    {
        int groups = Up(columns, group), perWord = 32 / bits;
        MemoryTensors tensors = With(random, ".qweight", TensorType.I32, [columns / perWord, rows]).With(random, ".qzeros", TensorType.I32, [groups, Up(rows, perWord)]).With(random, ".scales", TensorType.F16, [groups, rows]);
        return hasIndex ? tensors.Add($"{Module}.g_idx", TensorType.I32, [columns], Index(random, columns, groups)) : tensors;
    }

    private static MemoryTensors BitsAndBytes(Random random, string kind, int rows, int columns, int block)
    {
        int count = rows * columns;
        string state = $$"""{"quant_type": "{{kind}}", "blocksize": {{block}}, "dtype": "bfloat16", "shape": [{{rows}}, {{columns}}]}""";
        MemoryTensors tensors = With(random, ".weight", TensorType.U8, [Up(count, 2), 1]).With(random, ".weight.absmax", TensorType.F32, [Up(count, block)]).With(random, ".weight.quant_map", TensorType.F32, [16]);
        byte[] json = System.Text.Encoding.UTF8.GetBytes(state);
        return tensors.Add($"{Module}.weight.quant_state.bitsandbytes__{kind}", TensorType.U8, [json.Length], json);
    }

    private static MemoryTensors Nested(MemoryTensors tensors, Random random, int blocks)
    {
        byte[] json = """{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [40, 96], "nested_blocksize": 16, "nested_dtype": "float32", "nested_offset": 0.25}"""u8.ToArray();
        return tensors
            .Add($"{Module}.weight.quant_state.bitsandbytes__nf4", TensorType.U8, [json.Length], json)
            .Add($"{Module}.weight.absmax", TensorType.U8, [blocks], Random(random, blocks))
            .Add($"{Module}.weight.nested_absmax", TensorType.F32, [Up(blocks, 16)], Bytes<float>([.. Enumerable.Range(1, Up(blocks, 16)).Select(i => i * 0.3f)]))
            .Add($"{Module}.weight.nested_quant_map", TensorType.F32, [256], Bytes<float>([.. Enumerable.Range(0, 256).Select(i => (i - 128) / 128f)]));
    }

    private static string CompressedTensors(string format, string weights) =>
        $$$"""{"quant_method": "compressed-tensors", "format": "{{{format}}}", "config_groups": {"group_0": {"targets": ["Linear"], "weights": {{{weights}}} } } }""";

    private static byte[] Index(Random random, int columns, int groups) => Bytes<int>([.. Enumerable.Range(0, columns).Select(_ => random.Next(groups))]);

    private static byte[] Bytes<T>(params T[] values)
        where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    private static byte[] Random(Random random, int count)
    {
        byte[] bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static int Up(int count, int size) => (count + size - 1) / size;
}
