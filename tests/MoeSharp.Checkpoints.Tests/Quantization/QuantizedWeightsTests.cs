using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>What contradicts itself, is missing, or is not what the config says: one message, before anything is decoded.</summary>
public sealed class QuantizedWeightsTests
{
    private const string Module = MemoryTensors.Module;

    private static readonly Random Bytes = new(3);

    [Theory]
    [InlineData(".weight_scale_inv", new long[] { 2, 2 }, "expected [2, 3]: a scale for each 128x128 of [200, 300]")]
    [InlineData(".weight_scale_inv", new long[] { 1, 1 }, "expected [2, 3]")]       // too short a grid is no scale for all
    [InlineData(".weight_scale", new long[] { 300 }, "expected [2, 3]")]
    public void QuantizedWeights_Fp8ScalesOfAnotherShape_AreRefused(string part, long[] shape, string fault) =>
        AssertFault(fault, new MemoryTensors().With(Bytes, ".weight", TensorType.F8E4M3, [200, 300]).With(Bytes, part, TensorType.F32, shape));

    [Theory]
    [InlineData(".weight_scale_inv", new long[] { 200, 1 }, "per channel")]
    [InlineData(".weight_scale_inv", new long[] { 200 }, "per channel")]
    [InlineData(".weight_scale_inv", new long[] { 1, 1 }, "per tensor")]
    [InlineData("_scale_inv", new long[] { 1, 1 }, "per tensor")]
    [InlineData("_scale_inv", new long[] { 2, 1 }, "in blocks of 100x300")]     // of the gate, and of up
    public void QuantizedWeights_Fp8WhoseConfigHasNoBlocks_GoesByTheScales(string part, long[] shape, string words)
    {
        bool isStacked = part == "_scale_inv";
        long[] codes = isStacked ? [1, 200, 300] : [200, 300];
        var tensors = new MemoryTensors()
            .Add($"experts.gate_up_proj{(isStacked ? "" : ".weight")}", TensorType.F8E4M3, codes, new byte[200 * 300])
            .Add($"experts.gate_up_proj{part}", TensorType.F32, isStacked ? [1, .. shape] : shape, new byte[4 * (int)shape.Aggregate(1L, (product, size) => product * size)]);

        var weight = Assert.Single(QuantizedWeights.Find(tensors, TensorSample.Parse("""{"quant_method": "fp8", "weight_block_size": null}""")));

        Assert.Contains(words, weight.Format, StringComparison.Ordinal);
    }

    [Fact]
    public void QuantizedWeights_ExponentsForRows_AreNoScalesOfChannels() =>
        AssertFault("expected [1, 1]: a scale for each 128x128 of [8, 64]", new MemoryTensors().With(Bytes, ".weight", TensorType.F8E4M3, [8, 64]).With(Bytes, ".weight_scale", TensorType.U8, [8, 1]));

    [Theory]
    [InlineData(".weight")]
    [InlineData(".weight_global_scale")]
    [InlineData(".weight_scale_inv")]
    [InlineData(".weight.nested_absmax")]
    public void QuantizedWeights_APartOfAnotherFormat_IsRefused(string part) =>
        AssertFault($"Tensor '{Module}{part}' is F32 [1], but '{Module}.weight_packed' is int4 in groups of 32 (pack-quantized), which has none.", Packed().With(Bytes, part, TensorType.F32, [1]));

    [Fact]
    public void QuantizedWeights_CodesOfTwoFormats_AreRefused() =>
        AssertFault("which has none", Packed().With(Bytes, ".qweight", TensorType.I32, [4, 8]).With(Bytes, ".scales", TensorType.F16, [1, 8]).With(Bytes, ".qzeros", TensorType.I32, [1, 1]));

    [Fact]
    public void QuantizedWeights_ActivationOrderWithoutItsIndex_IsRefused() =>
        AssertFault($"Tensor '{Module}.g_idx' is missing; the config says desc_act = true",
            new MemoryTensors().With(Bytes, ".qweight", TensorType.I32, [4, 8]).With(Bytes, ".scales", TensorType.F16, [1, 8]).With(Bytes, ".qzeros", TensorType.I32, [1, 1]),
            """{"quant_method": "gptq", "bits": 4, "group_size": -1, "desc_act": true}""");

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public void QuantizedWeights_BitsAndBytesCodesInAnotherOrder_AreRefused(byte order, bool isRead)
    {
        var tensors = new MemoryTensors().With(Bytes, ".weight", TensorType.I8, [2, 4]).With(Bytes, ".SCB", TensorType.F32, [2]).Add($"{Module}.weight_format", TensorType.U8, [], [order]);

        if (isRead) Assert.Single(QuantizedWeights.Find(tensors));
        else AssertFault($"Tensor '{Module}.weight_format' is not 0", tensors);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public void QuantizedWeights_ZeroPointsOfSymmetricNumbers_AreZero(byte zero, bool isRead)
    {
        const string Config = """{"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int", "symmetric": true}}}}""";
        var tensors = new MemoryTensors().With(Bytes, ".weight", TensorType.I8, [1, 4]).With(Bytes, ".weight_scale", TensorType.F32, [1, 1]).Add($"{Module}.weight_zero_point", TensorType.I8, [1, 1], [zero]);

        if (isRead) Assert.Single(QuantizedWeights.Find(tensors, TensorSample.Parse(Config)));
        else AssertFault("the config says symmetric = true", tensors, Config);
    }

    [Fact]
    public void QuantizedWeights_Nvfp4WithoutTheScaleOfTheTensor_NamesIt() =>
        AssertFault($"Tensor '{Module}.weight_scale_2' is missing", new MemoryTensors().With(Bytes, ".weight", TensorType.U8, [2, 16]).With(Bytes, ".weight_scale", TensorType.F8E4M3, [2, 2]));

    [Fact]
    public void QuantizedWeights_Fp8WithoutAScale_IsRefused() =>
        AssertFault($"Tensor '{Module}.weight' is F8_E4M3 [4, 4] and has no scale.", new MemoryTensors().With(Bytes, ".weight", TensorType.F8E4M3, [4, 4]));

    [Theory]
    [InlineData(TensorType.U8)]
    [InlineData(TensorType.F8E8M0)]
    public void QuantizedWeights_AnExponentThatIsNotANumber_IsRefused(TensorType type)
    {
        var tensors = new MemoryTensors().With(Bytes, "_blocks", TensorType.U8, [1, 2, 2, 16]).Add($"{Module}_scales", type, [1, 2, 2], [127, 0, 254, 255]);

        AssertFault($"Tensor '{Module}_scales' has the exponent 255, which is not a number.", tensors);
    }

    [Fact]
    public void QuantizedWeights_NegativeScales_AreWarnedOf()
    {
        var tensors = new MemoryTensors().With(Bytes, ".weight", TensorType.I8, [1, 4]).Add($"{Module}.weight_scale", TensorType.F32, [1, 1], BitConverter.GetBytes(-1f));

        Assert.Equal($"Tensor '{Module}.weight_scale' has negative scales.", Assert.Single(QuantizedWeights.Find(tensors).Single().Warnings));
    }

    [Theory]
    [InlineData(-1, true)]      // as compressed-tensors initialises it: there is no order
    [InlineData(-2, false)]
    [InlineData(3, false)]
    public void QuantizedWeights_GroupIndexOfPackedNumbers_IsMinusOneThroughoutOrAGroup(int group, bool isRead)
    {
        var tensors = Packed().Add($"{Module}.weight_g_idx", TensorType.I32, [96], MemoryMarshal.AsBytes(Enumerable.Repeat(group, 96).ToArray().AsSpan()).ToArray());

        if (isRead) Assert.DoesNotContain("g_idx", QuantizedWeights.Find(tensors).Single().Format, StringComparison.Ordinal);
        else AssertFault($"puts input 0 into group {group}; there are 3 groups", tensors);
    }

    [Fact]
    public void QuantizedWeights_GptqZeroPointsOfMinusOne_AreWarnedOf()
    {
        var tensors = new MemoryTensors().With(Bytes, ".qweight", TensorType.I32, [4, 8]).With(Bytes, ".scales", TensorType.F16, [1, 8]).Add($"{Module}.qzeros", TensorType.I32, [1, 1], [0x77, 0x77, 0x7f, 0x77]);

        Assert.Contains("AutoGPTQ", Assert.Single(QuantizedWeights.Find(tensors).Single().Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"quant_method": "mxfp4"}""", "is pack-quantized by its tensors, but the config says Mxfp4")]
    [InlineData("""{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int", "group_size": 32}}}}""", "expected [16, 24]")]
    [InlineData("""{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "group_size": 48}}}}""", "expected [16, 2]: a scale for 48 inputs")]
    [InlineData("""{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "group_size": 32, "symmetric": false}}}}""", "weight_zero_point' is missing; the config says symmetric = false")]
    public void QuantizedWeights_AConfigThatSaysOtherwise_IsContradicted(string config, string fault) => AssertFault(fault, Packed(), config);

    [Theory]
    [InlineData(".weight_packed")]
    [InlineData(".weight_scale")]
    [InlineData(".weight_shape")]
    public void QuantizedWeights_AMissingPart_IsNamed(string part) => AssertFault($"Tensor '{Module}{part}' is missing", Packed().Remove(Module + part));

    [Theory]
    [InlineData("{")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 0, "shape": [8, 16]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [8, 17179869184]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [2147483647, 2147483647]}""")]
    [InlineData("""{"quant_type": "fp4", "blocksize": 64, "shape": [8, 16]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "blocksize": 64, "shape": [8, 16]}""")]
    [InlineData("""{"quant_type": 4, "blocksize": 64, "shape": [8, 16]}""")]
    public void QuantizedWeights_AQuantStateThatIsNone_IsRefused(string state)
    {
        byte[] json = System.Text.Encoding.UTF8.GetBytes(state);
        var tensors = new MemoryTensors()
            .With(Bytes, ".weight", TensorType.U8, [64, 1]).With(Bytes, ".weight.absmax", TensorType.F32, [2]).With(Bytes, ".weight.quant_map", TensorType.F32, [16])
            .Add($"{Module}.weight.quant_state.bitsandbytes__nf4", TensorType.U8, [json.Length], json);

        AssertFault(Module, tensors);
    }

    [Fact]
    public void QuantizedWeights_FaultsOfSeveralWeights_AreInOneMessage()
    {
        var tensors = new MemoryTensors()
            .Add("a.qweight", TensorType.I32, [1, 1], new byte[4])
            .Add("b.weight_packed", TensorType.U8, [1, 1], new byte[1])
            .Add("c.weight", TensorType.F32, [1], new byte[4]);

        var e = Assert.Throws<CheckpointException>(() => QuantizedWeights.Find(tensors));

        Assert.StartsWith("memory: 3 faults:", e.Message, StringComparison.Ordinal);
        Assert.Contains("'a.qzeros' is missing", e.Message, StringComparison.Ordinal);
        Assert.Contains("'b.weight_scale' is missing", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void QuantizedWeights_TensorsThatOnlyLookAlike_AreNone()
    {
        var tensors = new MemoryTensors()
            .Add("router.scale", TensorType.F32, [1], new byte[4])
            .Add("router.weight", TensorType.BF16, [1], new byte[2])
            .Add("hidden_scales", TensorType.F32, [1], new byte[4])
            .Add("codes", TensorType.F8E4M3, [1], new byte[1]);

        Assert.Empty(QuantizedWeights.Find(tensors));
    }

    [Fact]
    public void QuantizedWeights_GgufRowsThatAreNoWholeBlocks_AreRefused()
    {
        var blocks = TensorData.FromMemory("blocks", TensorType.U8, [2, 35], new byte[70]);

        Assert.Contains("rows of Q8_0 are blocks of 34 bytes", Assert.Throws<CheckpointException>(() => QuantizedWeights.FromGguf(blocks, GgufType.Q8_0, "file")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void QuantizedWeights_BitsAndBytesOfAnotherKindThanTheConfig_AreContradicted() =>
        AssertFault("is Int8 by its tensors, but the config says Nf4", new MemoryTensors().With(Bytes, ".weight", TensorType.I8, [2, 4]).With(Bytes, ".SCB", TensorType.F32, [2]),
            """{"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"}""");

    private static MemoryTensors Packed() => new MemoryTensors()
        .With(Bytes, ".weight_packed", TensorType.I32, [16, 12]).With(Bytes, ".weight_scale", TensorType.F32, [16, 3])
        .Add($"{Module}.weight_shape", TensorType.I64, [2], MemoryMarshal.AsBytes<long>((long[])[16, 96]).ToArray());

    private static void AssertFault(string fault, MemoryTensors tensors, string? config = null) =>
        Assert.Contains(fault, Assert.Throws<CheckpointException>(() => QuantizedWeights.Find(tensors, config is null ? null : TensorSample.Parse(config))).Message, StringComparison.Ordinal);
}
