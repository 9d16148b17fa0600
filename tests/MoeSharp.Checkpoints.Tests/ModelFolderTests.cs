using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class ModelFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ModelFolder_SingleFile_HasItsTensors()
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("qwen3_moe", "model.safetensors"));

        using var model = ModelFolder.Open(Fixtures.Path("qwen3_moe"));

        Assert.Equal(file.Tensors, model.Tensors);
        Assert.Equal(file.Bytes("lm_head.weight"), model.Bytes("lm_head.weight"));
        Assert.Empty(model.Warnings);
    }

    [Fact]
    public void ModelFolder_Shards_EqualTheSingleFile()
    {
        using var single = ModelFolder.Open(Fixtures.Path("hostile", "folders", "shards_and_single"));

        using var shards = ModelFolder.Open(Fixtures.Path("hostile", "folders", "shards_ok"));

        Assert.Equal(2, shards.Files.Count);
        Assert.Equal(single.Tensors.Keys.Order(), shards.Tensors.Keys.Order());
        Assert.All(single.Tensors.Keys, name => Assert.Equal(single.Bytes(name), shards.Bytes(name)));
        Assert.EndsWith("model-00002-of-00002.safetensors", shards.FileOf("model.norm.weight").Path, StringComparison.Ordinal);
        Assert.Empty(shards.Warnings);
    }

    [Fact]
    public void ModelFolder_Read_CopiesFromTheShard()
    {
        using var shards = ModelFolder.Open(Fixtures.Path("hostile", "folders", "shards_ok"));
        byte[] part = new byte[4];

        shards.Read("model.norm.weight", 2, part);

        Assert.Equal(shards.Bytes("model.norm.weight")[2..6], part);
    }

    [Theory]
    [InlineData("""{"metadata": {"note": "\ud800"}, "weight_map": {"a": "one.safetensors"}}""")]
    [InlineData("""{"weight_map": {"a": "one.safetensors"}, "more": [{"\udc00": 1}]}""")]
    [InlineData("""{"weight_map": {"a": "one.safetensors"}, "\ud800": 1}""")]
    public void ModelFolder_AnIndexWithTextThatIsNoUnicode_IsRefusedEvenWhereItIsNotUsed(string index)
    {
        SafetensorsWriter.Write(_folder.File("one.safetensors"), [RawSafetensors.Floats("a", 1)]);
        string file = _folder.File("model.safetensors.index.json");
        File.WriteAllText(file, index);

        var e = Assert.Throws<CheckpointException>(() => ModelFolder.Open(_folder.Path));

        Assert.Equal($"{file}: The file has text that is no Unicode.", e.Message);
    }

    [Fact]
    public void ModelFolder_ManyFaults_AreToldInOneMessage()
    {
        SafetensorsWriter.Write(_folder.File("one.safetensors"), [RawSafetensors.Floats("a", 1)]);
        File.WriteAllText(_folder.File("bad.safetensors"), "");
        File.WriteAllText(_folder.File("model.safetensors.index.json"), """
            {"weight_map": {"a": "one.safetensors", "a": "one.safetensors", "b": "one.safetensors", "c": "../one.safetensors", "d": "/etc/passwd", "e": "gone.safetensors", "f": "gone.safetensors", "g": "bad.safetensors"}}
            """);

        var e = Assert.Throws<CheckpointException>(() => ModelFolder.Open(_folder.Path));

        Assert.Equal($"""
            {_folder.File("model.safetensors.index.json")}: 6 faults:
              - The index names tensor 'a' twice.
              - The index sends tensor 'b' to 'one.safetensors', which does not have it.
              - The index names the file '../one.safetensors'; only a plain name of a .safetensors file in the same folder is allowed.
              - The index names the file '/etc/passwd'; only a plain name of a .safetensors file in the same folder is allowed.
              - The index names the file 'gone.safetensors', which is not there.
              - {_folder.File("bad.safetensors")}: The file has 0 bytes; a safetensors file starts with 8 bytes that give the length of its header.
            """.ReplaceLineEndings(), e.Message);
    }

    [Fact]
    public void ModelFolder_HundredsOfFaults_AreCut()
    {
        SafetensorsWriter.Write(_folder.File("one.safetensors"), []);
        string map = string.Join(", ", Enumerable.Range(0, 500).Select(i => $"\"t{i}\": \"one.safetensors\""));
        File.WriteAllText(_folder.File("model.safetensors.index.json"), $$$"""{"weight_map": {{{{map}}}}}""");

        var e = Assert.Throws<CheckpointException>(() => ModelFolder.Open(_folder.Path));

        Assert.Contains("500 faults:", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("- and 480 more.", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ModelFolder_TensorOutsideTheIndex_IsWarnedOfAndNotThere()
    {
        SafetensorsWriter.Write(_folder.File("one.safetensors"), [RawSafetensors.Floats("a", 1), RawSafetensors.Floats("b", 2)]);
        File.WriteAllText(_folder.File("model.safetensors.index.json"), """{"metadata": {"total_size": 8}, "weight_map": {"a": "one.safetensors"}}""");

        using var model = ModelFolder.Open(_folder.Path);

        Assert.Equal(["a"], model.Tensors.Keys);
        Assert.Throws<CheckpointException>(() => model.Bytes("b"));
        Assert.Equal(
            [
                "one.safetensors has tensors that the index does not take from it and that are not used: 1, the first 'b'.",
                "model.safetensors.index.json gives a total_size of 8 bytes; its tensors have 4.",
            ],
            model.Warnings);
    }

    [Fact]
    public void ModelFolder_NoWeights_SaysWhatIsMissing()
    {
        Assert.Equal($"{_folder.Path}: The folder has no weights: neither model.safetensors nor model.safetensors.index.json is there.",
            Assert.Throws<CheckpointException>(() => ModelFolder.Open(_folder.Path)).Message);
        Assert.Equal($"{_folder.File("gone")}: There is no such folder.",
            Assert.Throws<CheckpointException>(() => ModelFolder.Open(_folder.File("gone"))).Message);
    }

    [Fact]
    public void ModelFolder_OfAFile_SaysThatAFolderIsExpected()
    {
        File.WriteAllText(_folder.File("notes.txt"), "");

        Assert.Equal($"{_folder.File("notes.txt")}: This is a file; expected a folder with the weights of a model.",
            Assert.Throws<CheckpointException>(() => ModelFolder.Open(_folder.File("notes.txt"))).Message);
    }

    [Fact]
    public void ModelFolder_AfterDispose_ThrowsObjectDisposedException()
    {
        var model = ModelFolder.Open(Fixtures.Path("hostile", "folders", "shards_ok"));
        model.Dispose();

        Assert.Throws<ObjectDisposedException>(() => model.Bytes("lm_head.weight"));
    }
}
