using System.Buffers.Binary;
using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class SafetensorsWriterTests : IDisposable
{
    private static readonly Gen<TensorType> Types = Gen.OneOf([.. TensorTypes.All]);

    private static readonly Gen<string> Names = Gen.OneOf(
        Gen.String[Gen.Char.AlphaNumeric, 0, 12], Gen.String[Gen.OneOf('.', '"', '\\', '/', 'é', '日', ' ', '<', '\u0301'), 1, 8]);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("qwen3_moe", "model.safetensors")]
    [InlineData("qwen3_moe_adamw", "model.safetensors")]
    [InlineData("qwen3_moe_adamw", "expected.safetensors")]
    public void SafetensorsWriter_TensorsOfAPythonFile_GiveTheSameBytes(string folder, string name)
    {
        using var original = SafetensorsFile.Open(Fixtures.Path(folder, name));
        string copy = _folder.File("copy.safetensors");

        SafetensorsWriter.Write(copy, [.. original.Tensors.Values.Reverse().Select(tensor => Copy(original, tensor))], original.Metadata);

        Assert.Equal(File.ReadAllBytes(original.Path), File.ReadAllBytes(copy));
    }

    [Fact]
    public void SafetensorsWriter_AnyTensors_AreReadBackUnchanged()
    {
        string path = _folder.File("any.safetensors");
        var tensor = from name in Names
                     from type in Types
                     from sizes in Gen.Long[0, 5].Array[0, 4]
                     let shape = type.BitSize() < 8 ? [.. sizes, 4L] : sizes // four elements of any type fill whole bytes
                     from bytes in Gen.Byte.Array[(int)(shape.Aggregate(1L, (product, size) => product * size) * type.BitSize() / 8)]
                     select (Name: name, Type: type, Shape: shape, Bytes: bytes);

        Gen.Select(tensor.Array[0, 12], Gen.Dictionary(Names, Names)[0, 4]).ForEach(
            300,
            sample =>
            {
                var (all, metadata) = sample;
                var tensors = all.DistinctBy(t => t.Name).ToArray();
                SafetensorsWriter.Write(path, [.. tensors.Select(t => RawSafetensors.Tensor(t.Name, t.Type, t.Shape, t.Bytes))], metadata);

                using var file = SafetensorsFile.Open(path);
                Assert.Equal(tensors.Length, file.Tensors.Count);
                Assert.Equal(metadata, file.Metadata);
                foreach (var t in tensors)
                {
                    Assert.Equal((t.Type, t.Bytes.Length), (file.Tensors[t.Name].Type, file.Tensors[t.Name].ByteCount));
                    Assert.Equal(t.Shape, file.Tensors[t.Name].Shape);
                    Assert.Equal(t.Bytes, file.Bytes(t.Name));
                }
            });
    }

    [Fact]
    public void SafetensorsWriter_MixedTypes_LieAlignedAndInTheOrderOfTheFormat()
    {
        string path = _folder.File("mixed.safetensors");

        SafetensorsWriter.Write(path,
        [
            RawSafetensors.Tensor("byte", TensorType.U8, [3], [1, 2, 3]),
            RawSafetensors.Floats("b", 1),
            RawSafetensors.Floats("a", 1, 2),
            RawSafetensors.Tensor("long", TensorType.I64, [], new byte[8]),
        ]);

        using var file = SafetensorsFile.Open(path);
        Assert.Equal(["long", "a", "b", "byte"], file.Tensors.Keys);
        Assert.Equal(0, file.Tensors["long"].Offset % 8);
        Assert.Equal(new Dictionary<string, string> { ["format"] = "pt" }, file.Metadata);
        Assert.Equal(0, BinaryPrimitives.ReadInt64LittleEndian(File.ReadAllBytes(path)) % 8);
    }

    [Fact]
    public void SafetensorsWriter_NothingToWrite_GivesAValidFile()
    {
        string path = _folder.File("empty.safetensors");

        SafetensorsWriter.Write(path, [], new Dictionary<string, string>());

        using var file = SafetensorsFile.Open(path);
        Assert.Empty(file.Tensors);
        Assert.Empty(file.Metadata);
    }

    [Theory]
    [InlineData(3, "Tensor 'a' wrote 3 bytes; its type and shape take 4.")]
    [InlineData(5, "Tensor 'a' wrote 5 bytes or more; its type and shape take 4.")]
    public void SafetensorsWriter_WrongNumberOfBytes_KeepsTheOldFileAndNothingElse(int bytes, string message)
    {
        string path = _folder.File("a.safetensors");
        File.WriteAllText(path, "old");

        var e = Assert.Throws<InvalidOperationException>(() => SafetensorsWriter.Write(path, [RawSafetensors.Tensor("a", TensorType.F32, [1], new byte[bytes])]));

        Assert.Equal(message, e.Message);
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void SafetensorsWriter_CancelledInsideATensor_LeavesNothing()
    {
        using var source = new CancellationTokenSource();
        var tensor = new TensorToWrite("a", TensorType.U8, [2], stream =>
        {
            stream.WriteByte(1);
            source.Cancel();
            stream.WriteByte(2);
        });

        Assert.ThrowsAny<OperationCanceledException>(() => SafetensorsWriter.Write(_folder.File("a.safetensors"), [tensor], null, source.Token));

        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void SafetensorsWriter_TensorsThatNoFileHolds_AreListedTogether()
    {
        TensorToWrite[] tensors =
        [
            RawSafetensors.Floats("a"), RawSafetensors.Floats("a"), RawSafetensors.Floats("__metadata__"), RawSafetensors.Floats("line\nbreak"),
            RawSafetensors.Tensor("odd", TensorType.F4, [3], []), RawSafetensors.Tensor("negative", TensorType.U8, [-1], []),
            RawSafetensors.Tensor("huge", TensorType.U8, [1L << 62, 8], []), RawSafetensors.Tensor("deep", TensorType.U8, new long[65], []),
        ];

        var e = Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(_folder.File("a.safetensors"), tensors));

        Assert.Equal(
            [
                "There are two tensors 'a'.",
                "The name '__metadata__' is the format's own.",
                @"The name 'line\u000abreak' has the character U+000A, which terminals obey instead of showing it.",
                "Tensor 'huge': shape [4611686018427387904, 8] of U8 overflows 64 bits.",
                "Tensor 'negative' has shape [-1]; sizes are 0 or more.",
                "Tensor 'deep' has 65 dimensions; the limit is 64.",
                "Tensor 'odd': shape [3] of F4 takes 12 bits, which is no whole number of bytes.",
            ],
            e.Message.Split("- ").Skip(1).Select(line => line.Trim()).OrderBy(line => Array.FindIndex(Order, line.Contains)));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    private static readonly string[] Order = ["two tensors", "__metadata__", "line", "huge", "negative", "deep", "odd"];

    private static TensorToWrite Copy(SafetensorsFile file, TensorInfo tensor) =>
        new(tensor.Name, tensor.Type, tensor.Shape, stream => stream.Write(file.Bytes(tensor.Name)));
}
