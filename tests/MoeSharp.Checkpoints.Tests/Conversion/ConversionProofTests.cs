using System.Text.Json;
using MoeSharp.TestKit;
using static MoeSharp.Checkpoints.Tests.ConversionFolders;

namespace MoeSharp.Checkpoints.Tests;

public sealed class ConversionProofTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> AllPlain => [.. Plain];

    public static TheoryData<string> AllQuantized => [.. Quantized];

    [Theory, MemberData(nameof(AllPlain)), MemberData(nameof(AllQuantized))]
    public void Proof_OfEveryLayoutWithoutRounding_HoldsToTheBit(string model)
    {
        foreach (var layout in Enum.GetValues<ExpertLayout>())
        {
            bool isQuantized = Quantized.Contains(model);
            var proof = ConvertAndProve(model, $"{layout}", new() { Layout = layout, Type = isQuantized && layout != ExpertLayout.Keep ? TensorType.F32 : null });

            Assert.True(proof.Passed, JsonSerializer.Serialize(proof));
            Assert.All(proof.Tensors, row => Assert.Equal((0, 0, "the same bits"), (row.Different, row.MaxDifference, row.Limit)));
            Assert.All(proof.Layers, layer => Assert.Equal((16, 0, 0, 0), (layer.Tokens, layer.OtherExperts, layer.Difference, layer.Limit)));
        }
    }

    [Theory]
    [InlineData("gemma4")]
    [InlineData("llama4")]
    [InlineData("mixtral")]
    [InlineData("phimoe")]
    [InlineData("qwen3_next")]
    public void Proof_OfRoundedWeights_HoldsWithinTheRounding(string model)
    {
        var proof = ConvertAndProve(model, "bf16", new() { Layout = ExpertLayout.Fused, Type = TensorType.BF16 });

        Assert.True(proof.Passed, JsonSerializer.Serialize(proof));
        Assert.Contains(proof.Tensors, row => row is { Kind: "gate", From: "F32", To: "BF16", MaxDifference: > 0, Limit: "rounded once to BF16: half a unit in the last place" });
        Assert.All(proof.Layers, layer => Assert.InRange(layer.Difference, 1e-5, layer.Limit));
    }

    [Fact]
    public void Proof_OfATableThatNamesAnExpertTwice_HoldsAsForAnyOther()
    {
        string source = _folder.File("source");
        Directory.CreateDirectory(source);
        foreach (string file in Directory.GetFiles(Model("deepseek_v4"))) File.Copy(file, Path.Combine(source, Path.GetFileName(file)));
        Clear(Path.Combine(source, "model.safetensors"), "tid2eid");

        using var checkpoint = MoeCheckpoint.Open(source);
        CheckpointConverter.Convert(checkpoint, _folder.File("target"), new() { Layout = ExpertLayout.Fused });
        var proof = ConversionProof.Run(checkpoint, _folder.File("target"));

        Assert.True(proof.Passed, JsonSerializer.Serialize(proof));
    }

    // as a new model has it: the first expert for every token
    private static void Clear(string path, string ending)
    {
        TensorInfo[] tensors;
        using (var file = SafetensorsFile.Open(path)) tensors = [.. file.Tensors.Values.Where(tensor => tensor.Name.EndsWith(ending, StringComparison.Ordinal))];
        using var stream = File.Open(path, FileMode.Open);
        foreach (var tensor in tensors)
        {
            stream.Position = tensor.Offset;
            stream.Write(new byte[tensor.ByteCount]);
        }

        Assert.NotEmpty(tensors);
    }

    [Fact]
    public void Proof_Written_LiesBesideTheWeightsAndCountsEveryNumber()
    {
        string file = ConvertAndProve("deepseek_v3", "fused", new() { Layout = ExpertLayout.Fused }).Write();

        Assert.Equal(_folder.File("fused/conversion-proof.json"), file);
        var json = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
        var gate = json.GetProperty("tensors")[1];
        Assert.True(json.GetProperty("passed").GetBoolean());
        Assert.Equal(("gate", 16, 16 * 16 * 32, 0), (gate.GetProperty("kind").GetString(), gate.GetProperty("count").GetInt32(), gate.GetProperty("compared").GetInt32(), gate.GetProperty("different").GetInt32()));
        Assert.Equal(1, json.GetProperty("layers")[0].GetProperty("layer").GetInt32());
    }

    [Theory]
    [InlineData("deepseek_v3", "model.layers.1.mlp.experts.gate_up_proj", "up")]
    [InlineData("deepseek_v3", "model.layers.1.mlp.experts.down_proj", "down")]
    [InlineData("deepseek_v3", "model.layers.1.mlp.gate.e_score_correction_bias", "router")]
    [InlineData("qwen3_moe", "model.layers.0.self_attn.o_proj.weight", "other")]
    public void Proof_OneWrongBit_IsFoundAndNamed(string model, string tensor, string kind)
    {
        ConvertAndProve(model, "fused", new() { Layout = ExpertLayout.Fused });
        long last;
        using (var fused = ModelFolder.Open(_folder.File("fused"))) last = fused.Tensors[tensor].Offset + fused.Tensors[tensor].ByteCount - 4;
        using (var file = File.Open(_folder.File("fused/model.safetensors"), FileMode.Open))
        {
            file.Position = last;
            int low = file.ReadByte();
            file.Position = last;
            file.WriteByte((byte)(low ^ 1));
        }

        using var source = MoeCheckpoint.Open(Model(model));
        var proof = ConversionProof.Run(source, _folder.File("fused"));

        Assert.False(proof.Passed);
        Assert.Equal([kind], proof.Tensors.Where(row => !row.Passed).Select(row => row.Kind));
        Assert.Equal(1, proof.Tensors.Sum(row => row.Different));
    }

    [Fact]
    public void Proof_AMissingAndAForeignTensor_AreNamed()
    {
        Directory.CreateDirectory(_folder.File("target"));
        File.Copy(Path.Combine(Model("qwen3_moe"), "config.json"), _folder.File("target/config.json"));
        using (var files = ModelFolder.Open(Model("qwen3_moe")))
        {
            SafetensorsWriter.Write(_folder.File("target/model.safetensors"), [.. files.Tensors.Values.Select(tensor =>
                new TensorToWrite(tensor.Name == "model.norm.weight" ? "model.norm.scale" : tensor.Name, tensor.Type, tensor.Shape, stream => stream.Write(files.Bytes(tensor.Name))))]);
        }

        using var source = MoeCheckpoint.Open(Model("qwen3_moe"));
        var proof = ConversionProof.Run(source, _folder.File("target"));

        Assert.False(proof.Passed);
        Assert.Equal(["The target has tensor 'model.norm.scale' as F32 [32], which the source has not.", "The target has not what the source has in tensor 'model.norm.weight'."], proof.Faults);
    }

    [Fact]
    public void Proof_OfOneLayer_ComparesThatLayerAlone()
    {
        var proof = ConvertAndProve("gpt_oss_published", "layer", new() { Layers = [1], Dequantizes = true });

        Assert.True(proof.Passed, JsonSerializer.Serialize(proof));
        Assert.Equal([1], proof.Layers.Select(layer => layer.Layer));
        Assert.Equal(6, proof.Tensors.Single(row => row.Kind == "gate").Count);
        Assert.Equal(18, proof.Tensors.Single(row => row.Kind == "biases").Count);
    }

    [Fact]
    public void Proof_Stopped_Throws()
    {
        Convert(Model("mixtral"), _folder.File("copy"));

        using var source = MoeCheckpoint.Open(Model("mixtral"));
        Assert.Throws<OperationCanceledException>(() => ConversionProof.Run(source, _folder.File("copy"), progress: null, new CancellationToken(canceled: true)));
    }

    public void Dispose() => _folder.Dispose();

    private ConversionProof ConvertAndProve(string model, string target, ConversionOptions options)
    {
        using var source = MoeCheckpoint.Open(Model(model));
        CheckpointConverter.Convert(source, _folder.File(target), options);
        return ConversionProof.Run(source, _folder.File(target));
    }
}
