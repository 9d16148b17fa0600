using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class GgufShardsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void GgufFile_FirstOfThreeShards_IsOneSourceOfAll()
    {
        string first = Write(0, Shard(0).Value("general.architecture", "qwen3moe").Value("split.tensors.count", GgufValueType.I32, BitConverter.GetBytes(3)));
        Write(1, Tensors(Shard(1), "a", "b"));
        Write(2, Tensors(Shard(2), "c"));

        using var file = GgufFile.Open(first);

        Assert.Equal(first, file.Path);
        Assert.Equal("qwen3moe", file.Architecture);
        Assert.Equal(["a", "b", "c"], file.Tensors.Keys);
        Assert.All(file.Tensors.Keys, name => Assert.Equal((byte)name[0], file.Data(name).Bytes(0, 1)[0]));
        Assert.Equal(GgufType.I8, file.Info("c").Type);
    }

    [Fact]
    public void GgufFile_OneShardOfOne_IsAWholeFile()
    {
        string path = Tensors(new RawGguf().Value("split.count", (ushort)1).Value("split.no", (ushort)0), "a").Write(_folder.File("any name.gguf"));

        using var file = GgufFile.Open(path);

        Assert.Equal(["a"], file.Tensors.Keys);
    }

    [Fact]
    public void GgufFile_LaterShard_IsRefusedWithTheNameOfTheFirst()
    {
        string second = Write(1, Shard(1));

        Expect(second, "The file is shard 2 of 3; open the first, whose name ends with '-00001-of-00003.gguf'.", second);
    }

    [Fact]
    public void GgufFile_FirstShardOfAnotherName_IsRefused()
    {
        string path = Shard(0).Write(_folder.File("model.gguf"));

        Expect(path, "The file is the first of 3 shards, but its name does not end with '-00001-of-00003.gguf': the others cannot be found.", path);
    }

    [Fact]
    public void GgufFile_ShardThatIsNotThere_IsNamed()
    {
        string first = Write(0, Shard(0));

        var e = Assert.Throws<CheckpointException>(() => GgufFile.Open(first));

        Assert.StartsWith($"{Name(1)}: The file cannot be read", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void GgufFile_ShardOfAnotherPlace_IsRefused()
    {
        string first = Write(0, Shard(0));
        Write(1, Shard(2));
        Expect(first, "The file is shard 3 of 3 by its metadata; by its name it is 2 of 3.", Name(1));

        Write(1, new RawGguf());
        Expect(first, "The file is shard 1 of 1 by its metadata; by its name it is 2 of 3.", Name(1));
    }

    [Fact]
    public void GgufFile_TensorInTwoShards_IsRefused()
    {
        string first = Write(0, Tensors(Shard(0), "a"));
        Write(1, Tensors(Shard(1), "b"));
        Write(2, Tensors(Shard(2), "c", "a"));

        Expect(first, "Tensor 'a' is also in model-00001-of-00003.gguf.", Name(2));
    }

    [Fact]
    public void GgufFile_ShardsOfOtherCountThanAnnounced_AreRefused()
    {
        string first = Write(0, Tensors(Shard(0), "a").Value("split.tensors.count", 4u));
        Write(1, Tensors(Shard(1), "b"));
        Write(2, Tensors(Shard(2), "c"));

        Expect(first, "Metadata 'split.tensors.count' is 4; the 3 shards have 3 tensors. They are of different models.", first);
    }

    private static RawGguf Shard(ushort index) => new RawGguf().Value("split.no", index).Value("split.count", (ushort)3);

    private static RawGguf Tensors(RawGguf raw, params string[] names)
    {
        foreach (string name in names) raw.Tensor(name, GgufType.I8, [1], [(byte)name[0]]);
        return raw;
    }

    private string Name(int index) => _folder.File($"model-0000{index + 1}-of-00003.gguf");

    private string Write(int index, RawGguf raw) => raw.Write(Name(index));

    private static void Expect(string path, string message, string at) =>
        Assert.Equal($"{at}: {message}", Assert.Throws<CheckpointException>(() => GgufFile.Open(path)).Message);
}
