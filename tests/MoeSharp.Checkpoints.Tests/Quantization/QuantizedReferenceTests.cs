using System.Runtime.InteropServices;
using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Weights that the libraries of the formats wrote, against what these libraries decoded them to; and files that contradict themselves.</summary>
public sealed class QuantizedReferenceTests
{
    private const double TwiceInverted = 1e-6;      // the reference of ModelOpt's dialect divides by a reciprocal

    public static TheoryData<string> Files =>
        [.. Directory.GetFiles(Fixtures.Path("tensors")).Select(path => Path.GetFileName(path)).Where(name => name != "scalars.safetensors").Order(StringComparer.Ordinal)];

    public static TheoryData<string, string> Hostile => [.. HostileManifest.Quantized];

    [Theory, MemberData(nameof(Files))]
    public void QuantizedWeight_OfALibrary_HasTheBitsOfTheLibrary(string name)
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("tensors", name));
        var weight = Read(file);
        Assert.Equal(file.Tensors["expected.weight"].Shape, weight.Shape);

        var expected = MemoryMarshal.Cast<byte, float>(file.Bytes("expected.weight"));
        foreach (var matrix in weight.Matrices)
        {
            float[] ours = new float[matrix.Rows * matrix.Columns];
            matrix.Decode(0, matrix.Rows, ours);

            if (!name.StartsWith("modelopt", StringComparison.Ordinal)) BitAssert.Equal(expected[..ours.Length], ours);
            else for (int i = 0; i < ours.Length; i++) Assert.Equal(expected[i], ours[i], Math.Abs(expected[i]) * TwiceInverted);
            expected = expected[ours.Length..];
        }

        Assert.True(expected.IsEmpty);
    }

    [Theory, MemberData(nameof(Hostile))]
    public void QuantizedWeights_HostileFile_GetsItsVerdict(string name, string verdict)
    {
        string path = Fixtures.Path(["hostile", .. name.Split('/')]);
        using var file = SafetensorsFile.Open(path);

        if (verdict == "reject")
        {
            Assert.StartsWith($"{path}: ", Assert.Throws<CheckpointException>(() => QuantizedWeights.Find(file)).Message, StringComparison.Ordinal);
            return;
        }

        var weight = Assert.Single(QuantizedWeights.Find(file));
        Assert.Equal(verdict == "warn" ? 1 : 0, weight.Warnings.Count);
    }

    [Fact]
    public void WeightMatrix_OfAClosedFile_DoesNotDecode()
    {
        WeightMatrix matrix;
        using (var file = SafetensorsFile.Open(Fixtures.Path("tensors", "ct_int8_channel_48x80.safetensors"))) matrix = Read(file).Matrices[0];

        Assert.Throws<ObjectDisposedException>(() => matrix.Decode(0, 1, new float[80]));
    }

    private static QuantizedWeight Read(SafetensorsFile file)
    {
        using var about = JsonDocument.Parse(file.Metadata["case"]);
        string format = about.RootElement.GetProperty("format").GetString()!;
        if (!format.StartsWith("gguf-", StringComparison.Ordinal)) return QuantizedWeights.Find(file, QuantizationConfig.Read(about.RootElement.GetProperty("quantization_config"), file.Path)).Single();

        string blocks = file.Tensors.Keys.Single(key => !key.StartsWith("expected.", StringComparison.Ordinal));
        return QuantizedWeights.FromGguf(file.Data(blocks), Enum.Parse<GgufType>(format["gguf-".Length..], ignoreCase: true), file.Path);
    }
}
