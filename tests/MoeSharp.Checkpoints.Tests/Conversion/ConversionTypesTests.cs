using System.Runtime.InteropServices;
using System.Text.Json;
using MoeSharp.TestKit;
using static MoeSharp.Checkpoints.Tests.ConversionFolders;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Other types, and quantized weights as plain numbers.</summary>
public sealed class ConversionTypesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> AllQuantized => [.. Quantized];

    [Theory, MemberData(nameof(AllQuantized))]
    public void Convert_Dequantized_HasTheValuesOfTheDecodersInTheTypeOfTheConfig(string model)
    {
        Convert(Model(model), _folder.File("plain"), new() { Dequantizes = true });

        var type = model.Contains("gptq", StringComparison.Ordinal) ? TensorType.F16 : TensorType.BF16;
        using var source = ModelFolder.Open(Model(model));
        using var plain = ModelFolder.Open(_folder.File("plain"));
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(Model(model), "config.json")));
        Assert.False(JsonDocument.Parse(File.ReadAllText(_folder.File("plain/config.json"))).RootElement.TryGetProperty("quantization_config", out _));
        Assert.Empty(QuantizedNames.Find(plain).Weights);

        var weights = QuantizedWeights.Find(source, QuantizationConfig.Read(config.RootElement.GetProperty("quantization_config"), model));
        Assert.All(weights.Where(weight => !weight.Name.EndsWith("_blocks", StringComparison.Ordinal)), weight => AssertRounded(weight.Matrices[0], plain.Data(PlainName(weight.Name)), type));
    }

    [Theory]
    [InlineData("deepseek_v3_fp8", TensorType.F32)]
    [InlineData("gpt_oss_mxfp4", TensorType.BF16)]
    [InlineData("kimi_k2_int4_g32", TensorType.F16)]
    public void Convert_QuantizedExpertsToFused_HoldsWhatTheDecodersGive(string model, TensorType type)
    {
        Convert(Model(model), _folder.File("fused"), new() { Layout = ExpertLayout.Fused, Type = type });

        using var source = MoeCheckpoint.Open(Model(model));
        using var fused = MoeCheckpoint.Open(_folder.File("fused"));
        foreach (int layer in source.MoeLayers)
        {
            var (expected, actual) = (source.Layer(layer).Expert(2), fused.Layer(layer).Expert(2));
            AssertRounded(expected.Gate, actual.Gate, type);
            AssertRounded(expected.Up, actual.Up, type);
            AssertRounded(expected.Down, actual.Down, type);
        }
    }

    [Fact]
    public void Convert_ToBFloat16AndBack_RoundsOnceToTheNearest()
    {
        Convert(Model("mixtral"), _folder.File("bf16"), new() { Type = TensorType.BF16 });
        Convert(_folder.File("bf16"), _folder.File("f32"), new() { Type = TensorType.F32 });

        using var source = ModelFolder.Open(Model("mixtral"));
        using var bf16 = ModelFolder.Open(_folder.File("bf16"));
        using var f32 = ModelFolder.Open(_folder.File("f32"));
        foreach (string name in source.Tensors.Keys)
        {
            var values = MemoryMarshal.Cast<byte, float>(source.Bytes(name));
            var rounded = MemoryMarshal.Cast<byte, ushort>(bf16.Bytes(name));
            var widened = MemoryMarshal.Cast<byte, uint>(f32.Bytes(name));
            for (int i = 0; i < values.Length; i++)
            {
                Assert.Equal(Nearest(values[i]), BitConverter.UInt32BitsToSingle((uint)rounded[i] << 16));
                Assert.Equal((uint)rounded[i] << 16, widened[i]);
            }
        }
    }

    [Fact]
    public void Convert_ToAType_ChangesTheConfigInNothingElse()
    {
        Convert(Model("llama4"), _folder.File("bf16"), new() { Type = TensorType.BF16 });

        string before = File.ReadAllText(Path.Combine(Model("llama4"), "config.json")), after = File.ReadAllText(_folder.File("bf16/config.json"));
        Assert.Contains("\"dtype\": \"float32\"", before, StringComparison.Ordinal);
        Assert.Equal(before.Replace("\"dtype\": \"float32\"", "\"dtype\": \"bfloat16\"", StringComparison.Ordinal), after);
    }

    [Fact]
    public void Convert_ToBFloat16_KeepsTheBiasThatSelects()
    {
        Convert(Model("deepseek_v3"), _folder.File("bf16"), new() { Type = TensorType.BF16 });

        using var source = ModelFolder.Open(Model("deepseek_v3"));
        using var bf16 = ModelFolder.Open(_folder.File("bf16"));
        const string Bias = "model.layers.1.mlp.gate.e_score_correction_bias";
        Assert.Equal(TensorType.F32, bf16.Tensors[Bias].Type);
        Assert.Equal(source.Bytes(Bias), bf16.Bytes(Bias));
        Assert.All(bf16.Tensors.Values.Where(tensor => tensor.Name != Bias), tensor => Assert.Equal(TensorType.BF16, tensor.Type));
    }

    [Theory]
    [InlineData(TensorType.F32)]
    [InlineData(TensorType.BF16)]
    [InlineData(TensorType.F16)]
    public void Convert_AnyBits_ComeBackAsTheyWere(TensorType type)
    {
        string random = RandomModel(type);

        Convert(random, _folder.File("fused"), new() { Layout = ExpertLayout.Fused });
        Convert(_folder.File("fused"), _folder.File("back"), new() { Layout = ExpertLayout.Published });

        Assert.Equal(Tensors(random), Tensors(_folder.File("back")));
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Mixtral with random bits for weights: numbers of all sizes, infinities, all kinds of not-a-numbers.</summary>
    private string RandomModel(TensorType type)
    {
        string folder = _folder.File("random");
        Directory.CreateDirectory(folder);
        File.Copy(Path.Combine(Model("mixtral"), "config.json"), Path.Combine(folder, "config.json"));
        var random = new Random(7);
        using var source = ModelFolder.Open(Model("mixtral"));
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), [.. source.Tensors.Values.Select(tensor => new TensorToWrite(tensor.Name, type, tensor.Shape, stream =>
        {
            byte[] bits = new byte[tensor.ByteCount / 4 * type.BitSize() / 8];
            random.NextBytes(bits);
            stream.Write(bits);
        }))]);
        return folder;
    }

    private static string PlainName(string codes) =>
        codes.EndsWith(".weight_packed", StringComparison.Ordinal) ? codes[..^"_packed".Length] : codes.EndsWith(".qweight", StringComparison.Ordinal) ? codes.Replace(".qweight", ".weight", StringComparison.Ordinal) : codes;

    private static void AssertRounded(WeightMatrix expected, TensorData actual, TensorType type)
    {
        Assert.Equal(type, actual.Info.Type);
        Assert.Equal([expected.Rows, expected.Columns], actual.Info.Shape);
        AssertRounded(expected, new PlainMatrix(expected.Rows, expected.Columns, actual), type);
    }

    private static void AssertRounded(WeightMatrix expected, WeightMatrix actual, TensorType type)
    {
        float[] values = Values(expected);
        BitAssert.Equal([.. values.Select(value => Rounded(value, type))], Values(actual));
    }

    private static float Rounded(float value, TensorType type) => type switch { TensorType.BF16 => Nearest(value), TensorType.F16 => (float)(Half)value, _ => value };

    /// <summary>The nearer of the two bfloat16 around a finite number, of equals the even one.</summary>
    private static float Nearest(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value) & 0xffff0000;
        float below = BitConverter.UInt32BitsToSingle(bits), above = BitConverter.UInt32BitsToSingle(bits + 0x10000);     // in size, whatever the sign
        double down = Math.Abs((double)value - below), up = Math.Abs((double)above - value);
        return down < up || down == up && (bits >> 16) % 2 == 0 ? below : above;
    }
}
