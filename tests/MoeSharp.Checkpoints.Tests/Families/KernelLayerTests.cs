using System.Runtime.InteropServices;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Layers of the reference's models without TorchSharp, held against what the reference computed.</summary>
public sealed class KernelLayerTests
{
    public static TheoryData<string> Models => [.. Directory.EnumerateDirectories(Fixtures.Path("models")).Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    [Theory, MemberData(nameof(Models))]
    public void Load_AModelOfTheReference_GivesItsOutputs(string name)
    {
        using var checkpoint = MoeCheckpoint.Open(Fixtures.Path("models", name));
        using var expected = SafetensorsFile.Open(Fixtures.Path("models", name, "expected.safetensors"));
        foreach (int index in checkpoint.MoeLayers)
        {
            using var layer = checkpoint.Load(index);
            string prefix = $"layers.{index}.moe.";
            float[] input = Values(expected, $"{prefix}input"), output = new float[input.Length], logits = new float[input.Length / layer.Options.HiddenSize * layer.Options.Router.ExpertCount];
            float[] routerInput = expected.Tensors.ContainsKey($"{prefix}router_input") ? Values(expected, $"{prefix}router_input") : [];
            long[] ids = layer.Options.Router.Select is Selection.TokenTable ? [.. MemoryMarshal.Cast<byte, long>(expected.Bytes("input_ids"))] : [];
            var call = new MoeCall { RouterInput = routerInput, TokenIds = ids };

            layer.Forward(input, output, call);
            layer.Route(input, logits, call);

            AssertClose(Values(expected, $"{prefix}output"), output);
            AssertClose(Values(expected, $"{prefix}router_logits"), logits);
        }
    }

    [Fact]
    public void Load_InBFloat16_RoundsTheWeights()
    {
        using var checkpoint = MoeCheckpoint.Open(Fixtures.Path("models", "mixtral"));
        using var full = checkpoint.Load(0);
        using var half = checkpoint.Load(0, ExpertPrecision.BFloat16);
        float[] tokens = [.. Enumerable.Range(0, 3 * full.Options.HiddenSize).Select(i => MathF.Sin(i))], exact = new float[tokens.Length], rounded = new float[tokens.Length];

        full.Forward(tokens, exact);
        half.Forward(tokens, rounded);

        Assert.True(half.PackedBytes < full.PackedBytes);
        Assert.InRange(exact.Zip(rounded, (a, b) => Math.Abs(a - b)).Max(), 1e-9, 0.03 * exact.Max(Math.Abs));
    }

    private static void AssertClose(float[] expected, float[] actual) =>
        Assert.InRange(expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max() / expected.Max(Math.Abs), 0, 1e-5);

    private static float[] Values(SafetensorsFile file, string name) => [.. MemoryMarshal.Cast<byte, float>(file.Bytes(name))];
}
