using MoeSharp.Checkpoints;
using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class ModelCheckpointTests
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void SaveThenLoad_GivesTheSameBits(bool isTied, bool hasCorrectionBias)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModel.Create(TinyModel.Shape.ToDecoder(40, 32, 0, hasCorrectionBias) with { TieEmbeddings = isTied });
        foreach (var moe in model.MoeLayers.Where(moe => moe.CorrectionBias is not null)) moe.UpdateCorrectionBias(arange(4), 0.01);

        ModelCheckpoint.Save(model, folder.Path);
        using var loaded = ModelCheckpoint.Load(folder.Path);

        Assert.Equal(model.Options, loaded.Options, (a, b) => a!.Layers.SequenceEqual(b!.Layers) && a with { Layers = [] } == b with { Layers = [] });
        foreach (var (before, after) in PublishedWeights.Of(model).Zip(PublishedWeights.Of(loaded)))
        {
            Assert.Equal(before.Name, after.Name);
            Assert.Equal(before.Of(before.Parameter).bytes.ToArray(), after.Of(after.Parameter).bytes.ToArray());
        }
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
}
