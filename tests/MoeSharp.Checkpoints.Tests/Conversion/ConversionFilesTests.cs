using MoeSharp.TestKit;
using static MoeSharp.Checkpoints.Tests.ConversionFolders;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Which files a conversion writes, and what becomes of one that was stopped.</summary>
public sealed class ConversionFilesTests : IDisposable
{
    private static readonly ConversionOptions Small = new() { Layout = ExpertLayout.Fused, MaxShardBytes = 40_000 };

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Convert_WhatFitsOneFile_IsTheFileThatTransformersWrote()
    {
        Convert(Model("qwen3_moe"), _folder.File("copy"));

        Assert.Equal(["config.json", "config.published.json", "model.safetensors"], Names("copy"));
        Assert.Equal(File.ReadAllBytes(Path.Combine(Model("qwen3_moe"), "model.safetensors")), File.ReadAllBytes(_folder.File("copy/model.safetensors")));
    }

    [Fact]
    public void Convert_ToShards_HasAnIndexOfAllTensors()
    {
        var summary = Convert(Model("qwen3_moe"), _folder.File("shards"), Small);

        Assert.Equal(["model-00001-of-00006.safetensors", "model-00002-of-00006.safetensors", "model-00003-of-00006.safetensors", "model-00004-of-00006.safetensors", "model-00005-of-00006.safetensors", "model-00006-of-00006.safetensors"], summary.Files);
        using var shards = ModelFolder.Open(_folder.File("shards"));
        Assert.Empty(shards.Warnings);
        Assert.Equal(summary.Bytes, shards.Tensors.Values.Sum(tensor => tensor.ByteCount));
        Assert.All(shards.Files, file => Assert.True(file.Tensors.Values.Sum(tensor => tensor.ByteCount) <= Small.MaxShardBytes));
    }

    [Fact]
    public void Convert_FilesBesideTheWeights_ComeAlong()
    {
        Directory.CreateDirectory(_folder.File("source"));
        foreach (string file in Directory.EnumerateFiles(Model("mixtral_sharded"))) File.Copy(file, _folder.File($"source/{Path.GetFileName(file)}"));
        foreach (string file in (string[])["tokenizer.json", "chat_template.jinja", "merges.txt", "LICENSE", "modeling.py", "pytorch_model.bin", ".gitattributes"]) File.WriteAllText(_folder.File($"source/{file}"), file);

        Convert(_folder.File("source"), _folder.File("copy"));

        Assert.Equal(["LICENSE", "chat_template.jinja", "config.json", "merges.txt", "model.safetensors", "tokenizer.json"], Names("copy"));
    }

    [Fact]
    public void Convert_StoppedAnywhere_ContinuesToTheSameBytes()
    {
        Convert(Model("deepseek_v3"), _folder.File("whole"), Small);
        int files = Names("whole").Length - 1, stops = 0;       // one is no shard that could be found again
        for (int after = 0; after < 12; after++)
        {
            using var stop = new CancellationTokenSource();
            int written = 0;
            var progress = new Watch(() =>
            {
                if (written++ == after * 8) stop.Cancel();
            });
            string target = _folder.File($"stopped{after}");
            try
            {
                Convert(Model("deepseek_v3"), target, Small, progress, stop.Token);
            }
            catch (OperationCanceledException)
            {
                stops++;
                Assert.All(Directory.EnumerateFiles(target, "*.safetensors"), file => SafetensorsFile.Open(file).Dispose());
                Assert.Empty(Directory.EnumerateFiles(target, "*.tmp"));
                Assert.Contains(".moesharp-conversion.json", Names(Path.GetFileName(target)));
                Convert(Model("deepseek_v3"), target, Small);
            }

            Assert.Equal(Names("whole"), Names($"stopped{after}"));
            foreach (string name in Names("whole")) Assert.Equal(File.ReadAllBytes(_folder.File($"whole/{name}")), File.ReadAllBytes(Path.Combine(target, name)));
        }

        Assert.True(stops > 3 && files > 3, $"{stops} stops, {files} files");
    }

    [Fact]
    public void Convert_AfterAStop_WritesNoFileTwice()
    {
        StopAfterAShard("target");
        string shard = Directory.EnumerateFiles(_folder.File("target"), "model-00001*").Single();
        File.SetLastWriteTimeUtc(shard, new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));

        var summary = Convert(Model("deepseek_v3"), _folder.File("target"), Small);

        Assert.Equal(2001, File.GetLastWriteTimeUtc(shard).Year);
        Assert.True(summary.FilesBefore >= 1);
    }

    [Fact]
    public void Convert_OtherOptionsAfterAStop_BeginAnew()
    {
        StopAfterAShard("target");

        var summary = Convert(Model("deepseek_v3"), _folder.File("target"));

        Assert.Equal(0, summary.FilesBefore);
        Assert.Equal(["config.json", "config.published.json", "model.safetensors"], Names("target"));
        Assert.Equal(Tensors(Model("deepseek_v3")), Tensors(_folder.File("target")));
    }

    [Fact]
    public void Convert_ToTheSource_IsRefused()
    {
        var error = Assert.Throws<CheckpointException>(() => Convert(Model("mixtral"), Model("mixtral") + "/"));

        Assert.EndsWith("The target is the source. Choose another folder.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_ToAFolderWithOtherThings_IsRefused()
    {
        Directory.CreateDirectory(_folder.File("target"));
        File.WriteAllText(_folder.File("target/notes.txt"), "mine");

        var error = Assert.Throws<CheckpointException>(() => Convert(Model("mixtral"), _folder.File("target")));

        Assert.Contains("The target is not empty", error.Message, StringComparison.Ordinal);
        Assert.Equal(["notes.txt"], Names("target"));
    }

    [Fact]
    public void Convert_AFamilyWithoutAFusedForm_IsRefused()
    {
        Directory.CreateDirectory(_folder.File("own"));
        File.Copy(Path.Combine(Model("qwen3_moe"), "model.safetensors"), _folder.File("own/model.safetensors"));
        var options = Qwen3MoeConfig.Read(Path.Combine(Model("qwen3_moe"), "config.json"));
        var moe = ((MlpOptions.Sparse)options.Layers[0]).Moe;
        MlpOptions own = new MlpOptions.Sparse(moe with { Router = moe.Router with { Score = ScoreFunction.Sigmoid } });
        File.WriteAllText(_folder.File("own/config.json"), Qwen3MoeConfig.Write(options with { Layers = [.. options.Layers.Select(_ => own)] }));

        var error = Assert.Throws<CheckpointException>(() => Convert(_folder.File("own"), _folder.File("target"), new() { Layout = ExpertLayout.Fused }));

        Assert.Contains("no fused form", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_ALayer_OpensAsThatLayerAlone()
    {
        Convert(Model("deepseek_v3"), _folder.File("layer"), new() { Layers = [1] });

        using var layer = MoeCheckpoint.Open(_folder.File("layer"));
        using var whole = MoeCheckpoint.Open(Model("deepseek_v3"));
        Assert.Equal([1], layer.MoeLayers);
        Assert.Equal([1], layer.Model.HeldLayers);
        Assert.Equal(whole.Layer(1).Tensors.Order(), layer.Tensors.Tensors.Keys.Order());
        BitAssert.Equal(Values(whole.Layer(1).Expert(3).Down), Values(layer.Layer(1).Expert(3).Down));
        Assert.Contains("1", Assert.Throws<ArgumentException>(() => layer.Layer(0)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_ALayerThatIsDense_IsRefused()
    {
        var error = Assert.Throws<ArgumentException>(() => Convert(Model("deepseek_v3"), _folder.File("layer"), new() { Layers = [0] }));

        Assert.Contains("Layer 0 is no Mixture of Experts", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.File("layer")));
    }

    [Fact]
    public void Convert_OptionsWithFaults_AreRefusedWithAllOfThem()
    {
        var error = Assert.Throws<ArgumentException>(() => Convert(Model("mixtral"), _folder.File("target"), new() { Type = TensorType.I8, MaxShardBytes = 0, Layers = [], Layout = (ExpertLayout)7 }));

        Assert.Contains("4 faults", error.Message, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private void StopAfterAShard(string target)
    {
        using var stop = new CancellationTokenSource();
        var progress = new Watch(() =>
        {
            if (Directory.EnumerateFiles(_folder.File(target), "model-00002*").Any()) stop.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => Convert(Model("deepseek_v3"), _folder.File(target), Small, progress, stop.Token));
    }

    private string[] Names(string folder) => [.. Directory.EnumerateFileSystemEntries(_folder.File(folder)).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private sealed class Watch(Action onReport) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value) => onReport();
    }
}
