using MoeSharp.Checkpoints;
using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class ModelCheckpointTests
{
    public static TheoryData<string> Routers => ["tied", "bias", .. Enum.GetNames<RouterSelection>()];

    [Theory]
    [MemberData(nameof(Routers))]
    public void SaveThenLoad_GivesTheSameBitsAndRoutes(string router)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        var shape = new RoutingShape { Select = Enum.TryParse<RouterSelection>(router, out var select) ? select : RouterSelection.TopK };
        var moe = shape.Apply(TinyModel.Shape.MoeLayer, vocabularySize: 40, seed: 3);
        if (router == "bias") moe = moe with { Router = moe.Router with { HasCorrectionBias = true }, BalanceBias = new(0.01) };
        var sparse = new MlpOptions.Sparse(moe);
        using var model = TinyModel.Create(TinyModel.Options with { TieEmbeddings = router == "tied", Layers = [sparse, sparse] });
        foreach (var layer in model.MoeLayers.Where(layer => layer.CorrectionBias is not null)) layer.UpdateBalance(RoutingLoad.Of(6, [0, 1, 2, 3]));
        foreach (var layer in model.MoeLayers.Where(layer => layer.QuantileBias is not null)) layer.QuantileBias!.copy_(arange(4) / 10);
        model.eval();

        ModelCheckpoint.Save(model, folder.Path);
        using var loaded = ModelCheckpoint.Load(folder.Path);
        loaded.eval();

        foreach (var (before, after) in PublishedWeights.Of(model).Zip(PublishedWeights.Of(loaded)))
        {
            Assert.Equal(before.Name, after.Name);
            Assert.Equal(before.Of(before.Parameter).bytes.ToArray(), after.Of(after.Parameter).bytes.ToArray());
        }

        var tokens = TinyModel.Tokens(2, 8);
        Assert.Equal(model.call(tokens).Hidden.bytes.ToArray(), loaded.call(tokens).Hidden.bytes.ToArray());
        bool isFamilys = router is "tied" or "bias" or nameof(RouterSelection.TopK);
        Assert.Contains(isFamilys ? "\"model_type\": \"qwen3_moe\"" : "\"model_type\": \"moesharp_qwen3_moe\"", File.ReadAllText(folder.File("config.json")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, TensorType.BF16)]
    [InlineData(ScalarType.Float16, TensorType.F16)]
    public void Fill_NarrowTypes_WidensExactly(ScalarType type, TensorType stored)
    {
        using var scope = NewDisposeScope();
        var values = tensor(new float[] { 0, 1, -2.5f, 1e-3f, 65504, float.PositiveInfinity }).to(type);
        var wide = empty(values.shape);

        TensorMemory.Fill(wide, stored, values.bytes);

        Assert.Equal(values.to(ScalarType.Float32).data<float>().ToArray(), wide.data<float>().ToArray());
    }

    [Fact]
    public void Load_SeveralFaults_ListsAllInOneMessage()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModel.Create();
        ModelCheckpoint.Save(model, folder.Path);
        Tensor[] held = [zeros(3), zeros(3, 4)];
        SafetensorsWriter.Write(folder.File("model.safetensors"), [
            .. PublishedWeights.Of(model).Skip(1).Where(weight => weight.Name != "model.norm.weight").Select(weight => TensorMemory.ToWrite(weight.Name, weight.Of(weight.Parameter))),
            TensorMemory.ToWrite("model.norm.weight", held[0]), TensorMemory.ToWrite("surplus", held[1])]);

        var error = Assert.Throws<CheckpointException>(() => ModelCheckpoint.Load(folder.Path));

        Assert.Contains("3 faults", error.Message, StringComparison.Ordinal);
        Assert.Contains("tensor 'model.embed_tokens.weight' is missing; expected shape [40, 16]", error.Message, StringComparison.Ordinal);
        Assert.Contains("tensor 'model.norm.weight' has shape [3]; config.json asks for [16]", error.Message, StringComparison.Ordinal);
        Assert.Contains("tensor 'surplus' is not part of the model that config.json describes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_AConfigFarLargerThanItsFiles_IsRefusedBeforeMemoryIsTaken()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModel.Create();
        ModelCheckpoint.Save(model, folder.Path);
        string config = folder.File("config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"vocab_size\": 40", "\"vocab_size\": 9000000", StringComparison.Ordinal));

        var error = Assert.Throws<CheckpointException>(() => ModelCheckpoint.Load(folder.Path));

        Assert.Contains("Check that config and weights are of the same model.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_StackedExperts_GivesTheWeightsOfThePublishedFiles()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using (var checkpoint = MoeCheckpoint.Open(Fixtures.Path("qwen3_moe"))) CheckpointConverter.Convert(checkpoint, folder.File("fused"), new() { Layout = ExpertLayout.Fused });
        using var published = ModelCheckpoint.Load(Fixtures.Path("qwen3_moe"));

        using var fused = ModelCheckpoint.Load(folder.File("fused"));

        foreach (var (expected, actual) in PublishedWeights.Of(published).Zip(PublishedWeights.Of(fused)))
            Assert.Equal(expected.Of(expected.Parameter).bytes.ToArray(), actual.Of(actual.Parameter).bytes.ToArray());
    }

    [Fact]
    public void Load_StackedExpertsOfAnotherShape_AreNamedOnce()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModel.Create();
        ModelCheckpoint.Save(model, folder.Path);
        var moe = model.MoeLayers.First().Options;
        var down = zeros(moe.Router.ExpertCount, moe.HiddenSize, moe.Experts.IntermediateSize + 1);
        SafetensorsWriter.Write(folder.File("model.safetensors"), [
            .. PublishedWeights.Of(model).Where(weight => weight.Stack?.Name != "model.layers.0.mlp.experts.down_proj").Select(weight => TensorMemory.ToWrite(weight.Name, weight.Of(weight.Parameter))),
            TensorMemory.ToWrite("model.layers.0.mlp.experts.down_proj", down)]);

        string message = Assert.Throws<CheckpointException>(() => ModelCheckpoint.Load(folder.Path)).Message;

        Assert.Single(message.Split('\n'), line => line.Contains("tensor 'model.layers.0.mlp.experts.down_proj' has shape", StringComparison.Ordinal));
        Assert.DoesNotContain("is missing", message, StringComparison.Ordinal);
    }
}
