using System.Text;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void SafetensorsFile_PythonCheckpoint_GivesTensorsInTheOrderOfTheirBytes()
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("qwen3_moe", "model.safetensors"));

        var router = file.Tensors["model.layers.1.mlp.gate.weight"];
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal("model.layers.1.mlp.gate.weight F32 [8, 32]", router.ToString());
        Assert.Equal(8 * 32 * 4, file.Bytes(router.Name).Length);
        Assert.Equal(file.Tensors.Values.Select(tensor => tensor.Offset).Order(), file.Tensors.Values.Select(tensor => tensor.Offset));
        Assert.Equal(new FileInfo(file.Path).Length, file.Tensors.Values.Last().Offset + file.Tensors.Values.Last().ByteCount);
    }

    [Fact]
    public void SafetensorsFile_Read_EqualsTheMappedBytesAtEveryOffset()
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("qwen3_moe", "model.safetensors"));
        const string Name = "model.norm.weight";
        byte[] part = new byte[5];

        for (int offset = 0; offset <= file.Tensors[Name].ByteCount - part.Length; offset++)
        {
            file.Read(Name, offset, part);

            Assert.Equal(file.Bytes(Name).Slice(offset, part.Length), part);
        }
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 129)]
    [InlineData(128, 1)]
    [InlineData(long.MaxValue, 1)]
    public void SafetensorsFile_ReadOutsideTheTensor_IsRefused(long offset, int length)
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("qwen3_moe", "model.safetensors"));

        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read("model.norm.weight", offset, new byte[length]));
    }

    [Fact]
    public void SafetensorsFile_UnknownTensor_IsNamed()
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("qwen3_moe", "model.safetensors"));

        var e = Assert.Throws<CheckpointException>(() => file.Bytes("lm_heat.weight"));

        Assert.Equal($"{file.Path}: There is no tensor 'lm_heat.weight'.", e.Message);
    }

    [Fact]
    public void SafetensorsFile_AfterDispose_ThrowsObjectDisposedException()
    {
        var file = SafetensorsFile.Open(Fixtures.Path("qwen3_moe", "model.safetensors"));
        file.Dispose();
        file.Dispose();

        Assert.Throws<ObjectDisposedException>(() => file.Bytes("model.norm.weight"));
        Assert.Throws<ObjectDisposedException>(() => file.Read("model.norm.weight", 0, new byte[1]));
    }

    [Fact]
    public void SafetensorsFile_SpanOfAForgottenFile_StaysReadable()
    {
        var bytes = SafetensorsFile.Open(Fixtures.Path("qwen3_moe", "model.safetensors")).Bytes("lm_head.weight");
        byte[] before = bytes.ToArray();

        GC.Collect();
        GC.WaitForPendingFinalizers();

        Assert.Equal(before, bytes);
    }

    [Fact]
    public void SafetensorsFile_TensorBeyondASpan_IsReadInParts()
    {
        const long Size = 3L << 30;
        string path = RawSafetensors.Write(_folder.File("large.safetensors"), $"{{{RawSafetensors.Entry("a", "U8", $"{Size}", 0, Size)}}}");
        using (var stream = File.OpenWrite(path)) // a sparse file: a few kilobytes on the disk
        {
            stream.Seek(Size - 4, SeekOrigin.End);
            stream.Write("tail"u8);
        }

        using var file = SafetensorsFile.Open(path);
        byte[] tail = new byte[4];
        file.Read("a", Size - 4, tail);

        Assert.Equal("tail", Encoding.ASCII.GetString(tail));
        var e = Assert.Throws<InvalidOperationException>(() => file.Bytes("a"));
        Assert.Equal($"Tensor 'a' has {Size} bytes, more than a span can hold: read it in parts with Read.", e.Message);
    }

    [Fact]
    public void SafetensorsFile_TruncatedWhileOpen_FailsToRead()
    {
        string path = RawSafetensors.Write(_folder.File("a.safetensors"), """{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 4);
        using var file = SafetensorsFile.Open(path);
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) stream.SetLength(stream.Length - 2);

        var e = Assert.Throws<CheckpointException>(() => file.Read("a", 0, new byte[4]));

        Assert.Contains("while it was in use", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SafetensorsFile_HundredThousandTensors_OpenInLittleMemory()
    {
        string path = WriteEmptyTensors(100_000);
        SafetensorsFile.Open(Fixtures.Path("qwen3_moe", "model.safetensors")).Dispose(); // what opening allocates once

        long before = GC.GetAllocatedBytesForCurrentThread();
        using var file = SafetensorsFile.Open(path);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(100_000, file.Tensors.Count);
        Assert.InRange(allocated, 0, 50 << 20);
    }

    private string WriteEmptyTensors(int count)
    {
        var entries = Enumerable.Range(0, count).Select(i => RawSafetensors.Entry($"model.layers.{i / 1000}.mlp.experts.{i % 1000}.gate_proj.weight", "BF16", "0,7168", 0, 0));
        return RawSafetensors.Write(_folder.File("many.safetensors"), $"{{{string.Join(',', entries)}}}");
    }
}
