using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class SafetensorsHostileTests
{
    public static TheoryData<string, bool> Files => [.. HostileManifest.Files];

    [Theory, MemberData(nameof(Files))]
    public void SafetensorsFile_HostileFile_OpensOrIsRejectedByName(string file, bool opens)
    {
        string path = Fixtures.Path("hostile", file);

        if (opens)
        {
            using var opened = SafetensorsFile.Open(path);
            foreach (string name in opened.Tensors.Keys) Assert.Equal(opened.Tensors[name].ByteCount, opened.Bytes(name).Length);
        }
        else
        {
            var e = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path));
            Assert.StartsWith($"{path}: ", e.Message, StringComparison.Ordinal);
            Assert.Equal(path, e.File);
            Assert.DoesNotContain(e.Message, c => char.IsControl(c) || c == '\u202e');
        }
    }

    [Fact]
    public void SafetensorsFile_EveryType_ReadsTypeShapeAndSize()
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("hostile", "files", "ok_every_dtype.safetensors"));

        Assert.Equal(TensorTypes.All, file.Tensors.Values.Select(tensor => tensor.Type).Distinct().Order());
        Assert.All(file.Tensors.Values, tensor => Assert.Equal(4 * tensor.Type.BitSize() / 8, tensor.ByteCount));
    }
}
