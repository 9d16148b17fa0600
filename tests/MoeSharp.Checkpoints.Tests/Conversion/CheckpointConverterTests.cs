using MoeSharp.TestKit;
using static MoeSharp.Checkpoints.Tests.ConversionFolders;

namespace MoeSharp.Checkpoints.Tests;

public sealed class CheckpointConverterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> AllPlain => [.. Plain];

    public static TheoryData<string> AllQuantized => [.. Quantized];

    [Theory, MemberData(nameof(AllPlain)), MemberData(nameof(AllQuantized))]
    public void Convert_WithoutOptions_CopiesEveryTensor(string model)
    {
        Convert(Model(model), _folder.File("copy"));

        Assert.Equal(Tensors(Model(model)), Tensors(_folder.File("copy")));
        Assert.Equal(File.ReadAllBytes(Path.Combine(Model(model), "config.json")), File.ReadAllBytes(_folder.File("copy/config.json")));
    }

    [Theory, MemberData(nameof(AllPlain))]
    public void Convert_ToFusedAndBack_GivesTheSameTensors(string model)
    {
        Convert(Model(model), _folder.File("fused"), new() { Layout = ExpertLayout.Fused });
        Convert(_folder.File("fused"), _folder.File("published"), new() { Layout = ExpertLayout.Published });

        Assert.Equal(Tensors(Model(model)), Tensors(_folder.File("published")));
    }

    [Theory]
    [InlineData("deepseek_v3", "model.layers.1.mlp.experts.gate_up_proj F32 [16, 32, 32]")]
    [InlineData("deepseek_v4", "model.layers.0.mlp.experts.down_proj F32 [8, 32, 16]")]
    [InlineData("deepseek_v4", "model.layers.0.mlp.shared_experts.up_proj.weight F32 [16, 32]")]
    [InlineData("granitemoe", "model.layers.0.block_sparse_moe.experts.gate_up_proj F32 [8, 48, 32]")]
    [InlineData("mixtral", "model.layers.1.mlp.gate.weight F32 [8, 32]")]
    [InlineData("phimoe", "model.layers.1.mlp.router.weight F32 [8, 32]")]
    [InlineData("qwen3_next", "model.layers.0.mlp.experts.gate_up_proj F32 [8, 32, 32]")]
    public void Convert_ToFused_HasTheNamesOfTransformers(string model, string tensor)
    {
        Convert(Model(model), _folder.File("fused"), new() { Layout = ExpertLayout.Fused });

        using var fused = ModelFolder.Open(_folder.File("fused"));
        Assert.Contains(tensor, fused.Tensors.Values.Select(info => info.ToString()));
    }

    [Theory, MemberData(nameof(AllPlain)), MemberData(nameof(AllQuantized))]
    public void Convert_ToEveryLayoutAndFloat32_KeepsEveryParameter(string model)
    {
        foreach (var layout in Enum.GetValues<ExpertLayout>())
        {
            string target = _folder.File($"{layout}");
            Convert(Model(model), target, new() { Layout = layout, Type = TensorType.F32 });

            using var source = MoeCheckpoint.Open(Model(model));
            using var converted = MoeCheckpoint.Open(target);
            Assert.All(source.MoeLayers, layer => AssertSame(source.Layer(layer), converted.Layer(layer)));
            Assert.Null(converted.Model.Quantization);
        }
    }

    public void Dispose() => _folder.Dispose();

    private static void AssertSame(StoredMoeLayer expected, StoredMoeLayer actual)
    {
        BitAssert.Equal(Values(expected.Router.Weight), Values(actual.Router.Weight));
        Assert.Equal(expected.Router.CorrectionBias, actual.Router.CorrectionBias);
        Assert.Equal(expected.Router.LogitBias, actual.Router.LogitBias);
        Assert.Equal(expected.Router.TokenTable, actual.Router.TokenTable);
        for (int expert = 0; expert < expected.Options.Router.ExpertCount; expert++) AssertSame(expected.Expert(expert), actual.Expert(expert));
        if (expected.Shared is { } shared) AssertSame(shared, actual.Shared!);
    }

    private static void AssertSame(StoredMlp expected, StoredMlp actual)
    {
        BitAssert.Equal(Values(expected.Gate), Values(actual.Gate));
        BitAssert.Equal(Values(expected.Up), Values(actual.Up));
        BitAssert.Equal(Values(expected.Down), Values(actual.Down));
        Assert.Equal(expected.Biases?.Gate, actual.Biases?.Gate);
        Assert.Equal(expected.Biases?.Up, actual.Biases?.Up);
        Assert.Equal(expected.Biases?.Down, actual.Biases?.Down);
    }
}
