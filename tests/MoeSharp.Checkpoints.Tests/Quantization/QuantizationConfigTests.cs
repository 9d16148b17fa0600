namespace MoeSharp.Checkpoints.Tests;

public sealed class QuantizationConfigTests
{
    public static TheoryData<string, QuantizationScheme> Schemes => new()
    {
        { """{"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 64], "activation_scheme": "dynamic"}""", new QuantizationScheme.Fp8(Fp8Scales.Block, 128, 64) },
        { """{"quant_method": "fp8", "weight_block_size": null, "activation_scheme": "static"}""", new QuantizationScheme.Fp8(Fp8Scales.TensorOrChannel) },
        { """{"quant_method": "fp8"}""", new QuantizationScheme.Fp8(Scales: null) },
        { """{"quant_method": "fp8", "weight_block_size": [128, 128], "scale_fmt": "ue8m0", "expert_dtype": "fp4"}""", new QuantizationScheme.Fp8(Fp8Scales.Block) },
        { """{"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}""", new QuantizationScheme.Mxfp4() },
        { Ct("pack-quantized", """{"num_bits": 4, "type": "int", "symmetric": true, "group_size": 32, "strategy": "group"}"""), new QuantizationScheme.PackedInteger(4, 32, IsSymmetric: true) },
        { Ct("pack-quantized", """{"num_bits": 8, "type": "int", "symmetric": false, "group_size": null, "strategy": "channel"}"""), new QuantizationScheme.PackedInteger(8, null, IsSymmetric: false) },
        { Ct("int-quantized", """{"num_bits": 8, "type": "int", "strategy": "channel"}"""), new QuantizationScheme.Integer8(null, IsSymmetric: true) },
        { Ct("int-quantized", """{"num_bits": 4, "type": "INT", "strategy": "group", "group_size": 32}"""), new QuantizationScheme.Integer8(32, IsSymmetric: true) },
        { Ct("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 128]}"""), new QuantizationScheme.Fp8(Fp8Scales.Block) },
        { Ct("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "block", "block_structure": "16x32"}"""), new QuantizationScheme.Fp8(Fp8Scales.Block, 16, 32) },
        { Ct("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32}"""), new QuantizationScheme.Fp8(Fp8Scales.Block, 1, 32) },
        { Ct("naive-quantized", """{"num_bits": 8, "type": "float", "strategy": "tensor"}"""), new QuantizationScheme.Fp8(Fp8Scales.Tensor) },
        { Ct("nvfp4-pack-quantized", """{"num_bits": 4, "type": "float", "group_size": 16}"""), new QuantizationScheme.Nvfp4() },
        { """{"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": true, "sym": false}""", new QuantizationScheme.Gptq(4, 128, IsVersion1: true) { HasGroupIndex = true } },
        { """{"quant_method": "gptq", "bits": 4, "group_size": 32, "format": "gptq_v2", "dynamic": {"-:.*router": {}}}""", new QuantizationScheme.Gptq(4, 32, IsVersion1: false) },
        { """{"quant_method": "gptq", "bits": 4, "group_size": 32, "format": "gptq_v2", "dynamic": {"-:.*experts": {}}}""", null! },
        { """{"quant_method": "gptq", "bits": 8, "group_size": -1, "checkpoint_format": "gptq_v2"}""", new QuantizationScheme.Gptq(8, null, IsVersion1: false) },
        { """{"quant_method": "awq", "bits": 4, "group_size": 128, "version": "GEMM", "zero_point": true}""", new QuantizationScheme.Awq(128) },
        { """{"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"}""", new QuantizationScheme.BitsAndBytes(BitsAndBytesKind.Nf4) },
        { """{"quant_method": "bitsandbytes", "load_in_8bit": true}""", new QuantizationScheme.BitsAndBytes(BitsAndBytesKind.Int8) },
        { """{"load_in_8bit": true}""", new QuantizationScheme.BitsAndBytes(BitsAndBytesKind.Int8) },
        { """{"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}""", new QuantizationScheme.Nvfp4() },
        { """{"quant_method": "modelopt", "quant_algo": "FP8_PER_CHANNEL_PER_TOKEN"}""", new QuantizationScheme.Fp8(Fp8Scales.Channel) },
    };

    [Theory, MemberData(nameof(Schemes))]
    public void QuantizationConfig_OfAMethod_SaysHowWeightsAreQuantized(string json, QuantizationScheme expected) =>
        Assert.Equal(expected, TensorSample.Parse(json).SchemeOf("model.layers.0.mlp.experts.3.gate_proj"));

    [Theory]
    [InlineData("""{"bits": 4}""", "quant_method is absent")]
    [InlineData("""{"quant_method": "hqq"}""", "quant_method is \"hqq\", which is not supported")]
    [InlineData("""{"quant_method": "gptq", "bits": 3, "group_size": 128}""", "bits is 3, which is not supported; expected 2 or 4 or 8")]
    [InlineData("""{"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"}""", "checkpoint_format is \"marlin\"")]
    [InlineData("""{"quant_method": "gptq", "bits": 4, "dynamic": {"+:.*gate": {"bits": 8}}}""", "dynamic is ")]
    [InlineData("""{"quant_method": "gptq", "bits": 4, "dynamic": {"": {}}}""", "dynamic is ")]
    [InlineData("""{"quant_method": "gptq", "bits": 4, "dynamic": {"-:(": {}}}""", "'re:(' is no pattern")]
    [InlineData("""{"quant_method": "gptq", "bits": 4, "format": "marlin"}""", "format is \"marlin\"")]
    [InlineData("""{"quant_method": "gptq", "bits": 4, "format": "gptq", "checkpoint_format": "gptq_v2"}""", "checkpoint_format and format are gptq_v2 and gptq")]
    [InlineData("""{"quant_method": "awq", "bits": 4, "format": "gemv"}""", "format is \"gemv\"")]
    [InlineData("""{"quant_method": "fp8", "weight_scale_semantics": "inverse"}""", "weight_scale_semantics is \"inverse\"")]
    [InlineData("""{"load_in_4bit": false}""", "load_in_8bit and load_in_4bit are both false")]
    [InlineData("""{"quant_method": "awq", "bits": 4, "version": "gemv"}""", "version is \"gemv\"")]
    [InlineData("""{"quant_method": "awq", "bits": 4, "zero_point": false}""", "zero_point is false")]
    [InlineData("""{"quant_method": "fp8", "weight_block_size": [128]}""", "weight_block_size is [128]")]
    [InlineData("""{"quant_method": "fp8", "weight_block_size": [0, 128]}""", "weight_block_size is [0, 128]")]
    [InlineData("""{"quant_method": "fp8", "fmt": "e3m4"}""", "fmt is \"e3m4\"")]
    [InlineData("""{"quant_method": "bitsandbytes"}""", "load_in_8bit and load_in_4bit are both false")]
    [InlineData("""{"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}""", "quant_algo is \"W4A8_AWQ\"")]
    [InlineData("""{"quant_method": "compressed-tensors", "format": "pack-quantized"}""", "config_groups is absent or empty")]
    [InlineData("""{"quant_method": "mxfp4", "quant_method": "fp8"}""", "quant_method is given twice")]
    [InlineData("""{"quant_method": "mxfp4", "ignore": ["re:("]}""", "'re:(' is no pattern")]
    public void QuantizationConfig_WhatIsNotSupported_IsNamed(string json, string named) =>
        Assert.Contains(named, Assert.Throws<CheckpointException>(() => TensorSample.Parse(json)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("marlin-24", """{"num_bits": 4, "type": "int"}""", "format is 'marlin-24'")]
    [InlineData("pack-quantized", """{"num_bits": 3, "type": "int"}""", "config_groups.group_0.weights.num_bits is 3")]
    [InlineData("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "token"}""", "strategy is \"token\"")]
    [InlineData("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "block"}""", "block_structure is absent")]
    [InlineData("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "block", "block_structure": "16x"}""", "block_structure is \"16x\"")]
    [InlineData("float-quantized", """{"num_bits": 8, "type": "float", "strategy": "group"}""", "group_size is absent")]
    public void QuantizationConfig_CompressedTensorsThatAreNotSupported_AreNamed(string format, string weights, string named) =>
        Assert.Contains(named, Assert.Throws<CheckpointException>(() => TensorSample.Parse(Ct(format, weights))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("lm_head", true)]
    [InlineData("model.layers.3.self_attn.q_proj", true)]
    [InlineData("model.layers.3.mlp.router", true)]
    [InlineData("model.layers.3.mlp.gate", true)]
    [InlineData("model.layers.3.mlp.shared_experts.up_proj", true)]
    [InlineData("model.layers.3.mlp.experts.0.gate_proj", false)]
    [InlineData("model.layers.3.mlp.experts.gate_up_proj", false)]
    public void QuantizationConfig_ModulesThatItLeavesOut_HaveNoScheme(string module, bool isLeftOut)
    {
        var config = TensorSample.Parse("""{"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head", "gate"], "ignore": ["re:.*shared_experts.*"]}""");

        Assert.Equal(isLeftOut, config.SchemeOf(module) is null);
    }

    [Fact]
    public void QuantizationConfig_SeveralGroups_AreTakenByTheirTargets()
    {
        var config = TensorSample.Parse("""
            {"quant_method": "compressed-tensors", "format": "mixed-precision", "config_groups": {
                "experts": {"targets": ["re:.*experts.*"], "format": "pack-quantized", "weights": {"num_bits": 4, "type": "int", "group_size": 32}},
                "rest": {"targets": ["Linear"], "format": "float-quantized", "weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}}
            """);

        Assert.Equal(new QuantizationScheme.PackedInteger(4, 32, IsSymmetric: true), config.SchemeOf("model.layers.0.mlp.experts.1.up_proj"));
        Assert.Equal(new QuantizationScheme.Fp8(Fp8Scales.Channel), config.SchemeOf("model.layers.0.self_attn.q_proj"));
    }

    [Fact]
    public void QuantizationConfig_OfSeveralGroupsThatHoldAModule_TheClosestCounts()
    {
        var config = TensorSample.Parse("""
            {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {
                "inputs": {"targets": ["re:.*attn"], "weights": null, "input_activations": {"num_bits": 8}},
                "rest": {"targets": ["Linear"], "weights": {"num_bits": 4, "group_size": 32}},
                "experts": {"targets": ["re:.*(?P<which>experts).*"], "weights": {"num_bits": 8, "group_size": 32}},
                "one": {"targets": ["model.layers.0.mlp.experts.1.up_proj"], "weights": {"num_bits": 2, "group_size": 32}}}}
            """);

        Assert.Equal(2, BitsOf("model.layers.0.mlp.experts.1.up_proj"));
        Assert.Equal(8, BitsOf("model.layers.0.mlp.experts.2.up_proj"));
        Assert.Equal(4, BitsOf("model.layers.0.self_attn.q_proj"));

        int BitsOf(string module) => Assert.IsType<QuantizationScheme.PackedInteger>(config.SchemeOf(module)).Bits;
    }

    private static string Ct(string format, string weights) =>
        $$$"""{"quant_method": "compressed-tensors", "format": "{{{format}}}", "config_groups": {"group_0": {"targets": ["Linear"], "weights": {{{weights}}} } } }""";
}
