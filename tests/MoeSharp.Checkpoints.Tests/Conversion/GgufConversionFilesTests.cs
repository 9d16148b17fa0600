using System.Globalization;
using System.Text.Json;
using MoeSharp.TestKit;
using static MoeSharp.Checkpoints.Tests.ConversionFolders;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Conversions of GGUF files: block types, shards, stops, and models of transformers there and back.</summary>
public sealed class GgufConversionFilesTests : IDisposable
{
    private const int Width = 256, Experts = 3;

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData(GgufType.Q8_0, null)]
    [InlineData(GgufType.Q4_K, null)]
    [InlineData(GgufType.Q6_K, TensorType.BF16)]
    [InlineData(GgufType.Q4_0, TensorType.F16)]
    [InlineData(GgufType.BF16, null)]
    [InlineData(GgufType.F16, TensorType.F32)]
    public void Convert_BlockTypes_AreDecodedOnce(GgufType type, TensorType? to)
    {
        string path = Blocks(type).Write(_folder.File("blocks.gguf"));
        using var source = MoeCheckpoint.Open(path);
        bool isPlain = type is GgufType.BF16 or GgufType.F16;

        var summary = CheckpointConverter.Convert(source, _folder.File("target"), new() { Type = to });

        var proof = ConversionProof.Run(source, _folder.File("target"));
        Assert.True(proof.Passed, JsonSerializer.Serialize(proof));
        Assert.Equal(!isPlain, summary.IsDequantized);
        using var gguf = GgufFile.Open(path);
        using var target = ModelFolder.Open(_folder.File("target"));
        var expected = to ?? (type == GgufType.BF16 ? TensorType.BF16 : TensorType.F32);
        Assert.Equal(expected, target.Tensors["model.embed_tokens.weight"].Type);
        Assert.Equal(expected, target.Tensors["model.layers.0.block_sparse_moe.experts.1.w3.weight"].Type);
        if (to is null) Assert.Equal(Values(gguf.Weight("token_embd.weight").Matrices[0]), PlainMatrix.ReadAll(target.Data("model.embed_tokens.weight")));
        if (to is null) Assert.Equal(Values(gguf.Weight("blk.0.ffn_up_exps.weight").Matrices[1]), PlainMatrix.ReadAll(target.Data("model.layers.0.block_sparse_moe.experts.1.w3.weight")));
        string name = JsonDocument.Parse(File.ReadAllText(_folder.File("target/config.json"))).RootElement.GetProperty("torch_dtype").GetString()!;
        Assert.Equal(expected switch { TensorType.F32 => "float32", TensorType.BF16 => "bfloat16", _ => "float16" }, name);
    }

    [Fact]
    public void Convert_AModelOfSeveralShards_IsThatOfOneFile()
    {
        Convert(Blocks(GgufType.Q8_0).Write(_folder.File("whole.gguf")), _folder.File("whole"));
        string first = Shards();

        Convert(first, _folder.File("split"));

        Assert.Equal(Tensors(_folder.File("whole")), Tensors(_folder.File("split")));
        Assert.Equal(File.ReadAllText(_folder.File("whole/config.json")), File.ReadAllText(_folder.File("split/config.json")));
    }

    [Fact]
    public void Convert_StoppedAnywhere_ContinuesToTheSameBytes()
    {
        string first = Shards();
        var options = new ConversionOptions { Layout = ExpertLayout.Fused, MaxShardBytes = 1_000_000 };
        Convert(first, _folder.File("whole"), options);
        int stops = 0, before = 0;
        for (int after = 0; after < 20; after += 2)
        {
            string target = _folder.File($"stopped{after}");
            using var stop = new CancellationTokenSource();
            int reports = 0;
            try
            {
                Convert(first, target, options, new Watch(() => { if (reports++ == after) stop.Cancel(); }), stop.Token);
            }
            catch (OperationCanceledException)
            {
                stops++;
                before += Convert(first, target, options).FilesBefore;
            }

            Assert.All(Directory.EnumerateFiles(_folder.File("whole")), file => Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(target, Path.GetFileName(file)))));
            Assert.False(File.Exists(Path.Combine(target, ConversionManifest.FileName)));
        }

        Assert.True(stops > 0 && before > 0, $"{stops} stops, {before} files from before");
    }

    [Fact]
    public void Convert_AfterAStopAnotherShardChanged_BeginsAnew()
    {
        string first = Shards();
        var options = new ConversionOptions { MaxShardBytes = 1_000_000 };
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Convert(first, _folder.File("target"), options, new Watch(() => { if (Directory.EnumerateFiles(_folder.File("target"), "model-00002*").Any()) stop.Cancel(); }), stop.Token));
        File.SetLastWriteTimeUtc(_folder.File("m-00002-of-00002.gguf"), new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));

        Assert.Equal(0, Convert(first, _folder.File("target"), options).FilesBefore);
    }

    [Fact]
    public void Proof_OneWrongBitInThePermutedQueries_IsFound()
    {
        string path = Blocks(GgufType.Q8_0).Write(_folder.File("blocks.gguf"));
        Convert(path, _folder.File("target"));
        long last;
        using (var target = ModelFolder.Open(_folder.File("target"))) last = target.Tensors["model.layers.0.self_attn.q_proj.weight"].Offset + target.Tensors["model.layers.0.self_attn.q_proj.weight"].ByteCount - 4;
        using (var file = File.Open(_folder.File("target/model.safetensors"), FileMode.Open))
        {
            file.Position = last;
            int low = file.ReadByte();
            file.Position = last;
            file.WriteByte((byte)(low ^ 1));
        }

        using var source = MoeCheckpoint.Open(path);
        var proof = ConversionProof.Run(source, _folder.File("target"));

        Assert.False(proof.Passed);
        Assert.Equal(1, proof.Tensors.Sum(row => row.Different));
    }

    [Theory]
    [InlineData("mixtral", "llama", """{"feed_forward_length": 16}""")]
    [InlineData("qwen3_moe", "qwen3moe", """{"expert_feed_forward_length": 16, "feed_forward_length": 64}""")]
    [InlineData("olmoe", "olmoe", """{"feed_forward_length": 16}""")]
    [InlineData("phimoe", "phimoe", """{"feed_forward_length": 16}""")]
    [InlineData("gpt_oss", "gpt-oss", """{"expert_feed_forward_length": 32}""")]
    [InlineData("deepseek_v3", "deepseek2", """{"expert_feed_forward_length": 16, "feed_forward_length": 64, "expert_shared_count": 1, "leading_dense_block_count": 1, "expert_weights_scale": 2.5, "expert_gating_func": 2, "expert_weights_norm": true, "expert_group_count": 4, "expert_group_used_count": 2}""")]
    public void Convert_AModelOfTransformersAsGguf_IsThatModelByteByByte(string model, string architecture, string metadata)
    {
        using var source = MoeCheckpoint.Open(Model(model));
        string path = AsGguf(source, architecture, metadata);

        Convert(path, _folder.File("back"));

        Assert.Equal(Tensors(Model(model)), Tensors(_folder.File("back")));
        using var back = MoeCheckpoint.Open(_folder.File("back"));
        Assert.All(source.MoeLayers, layer => Assert.Equal(source.Layer(layer).Options, back.Layer(layer).Options));
    }

    public void Dispose() => _folder.Dispose();

    // an llama of one layer of three experts, whose matrices are all of one type
    private static RawGguf Blocks(GgufType type) => AddTensors(AddMetadata(new RawGguf()), type, all: true, first: true);

    private string Shards()
    {
        AddTensors(Shard(AddMetadata(new RawGguf()), 0), GgufType.Q8_0, all: false, first: true).Write(_folder.File("m-00001-of-00002.gguf"));
        AddTensors(Shard(new RawGguf(), 1), GgufType.Q8_0, all: false, first: false).Write(_folder.File("m-00002-of-00002.gguf"));
        return _folder.File("m-00001-of-00002.gguf");
    }

    private static RawGguf Shard(RawGguf file, ushort number) => file.Value("split.no", number).Value("split.count", (ushort)2);

    private static RawGguf AddMetadata(RawGguf file)
    {
        file.Value("general.architecture", "llama");
        (string, uint)[] sizes = [("embedding_length", Width), ("block_count", 1), ("attention.head_count", 2), ("attention.head_count_kv", 1), ("expert_count", Experts), ("expert_used_count", 2), ("feed_forward_length", Width)];
        foreach (var (key, size) in sizes) file.Value($"llama.{key}", size);
        return file;
    }

    private static RawGguf AddTensors(RawGguf file, GgufType type, bool all, bool first)
    {
        (string Name, ulong[] Sizes)[] before = [("token_embd.weight", [Width, 8]), ("blk.0.attn_q.weight", [Width, Width]), ("blk.0.ffn_up_exps.weight", [Width, Width, Experts])];
        (string Name, ulong[] Sizes)[] after = [("blk.0.attn_k.weight", [Width, Width / 2]), ("blk.0.ffn_gate_exps.weight", [Width, Width, Experts]), ("blk.0.ffn_down_exps.weight", [Width, Width, Experts]), ("output.weight", [Width, 8])];
        foreach (var (name, sizes) in all ? [.. before, .. after] : first ? before : after) file.Tensor(name, type, sizes, Bytes(type, sizes, name.Length));
        if (first) file.Tensor("blk.0.attn_norm.weight", GgufType.F32, [Width], new byte[4 * Width]);
        if (all || !first) file.Tensor("blk.0.ffn_gate_inp.weight", GgufType.F32, [Width, Experts], new byte[4 * Width * Experts]);
        return file;
    }

    /// <summary>Blocks whose scales are small numbers: the high byte of every half precision number is that of one near 1/64.</summary>
    private static byte[] Bytes(GgufType type, ulong[] sizes, int seed)
    {
        var (length, bytes) = GgufTypes.SizeOf(type);
        byte[] data = new byte[sizes.Aggregate(1UL, (product, size) => product * size) / (ulong)length * (ulong)bytes];
        new Random(seed).NextBytes(data);
        int[] scales = type switch { GgufType.Q8_0 or GgufType.Q4_0 => [1], GgufType.Q4_K => [1, 3], GgufType.Q6_K => [209], _ => [1] };
        for (int block = 0; block < data.Length; block += bytes)
        {
            foreach (int scale in scales) data[block + scale] = 0x24;
        }

        return data;
    }

    /// <summary>A model of transformers as llama.cpp's converter would write it, in the slow and obvious way.</summary>
    private string AsGguf(MoeCheckpoint source, string architecture, string metadata)
    {
        var (file, model) = (new RawGguf().Value("general.architecture", architecture), source.Model);
        var moe = source.Layer(source.MoeLayers[0]).Options;
        (string, int)[] sizes =
        [
            ("embedding_length", model.HiddenSize), ("block_count", model.Layers.Count), ("attention.head_count", model.Attention.HeadCount), ("attention.head_count_kv", model.Attention.KeyValueHeadCount),
            ("expert_count", moe.Router.ExpertCount), ("expert_used_count", moe.Router.TopK), ("vocab_size", model.VocabularySize),
        ];
        foreach (var (key, size) in sizes) file.Value($"{architecture}.{key}", (uint)size);
        foreach (var value in JsonDocument.Parse(metadata).RootElement.EnumerateObject()) file.Add($"{architecture}.{value.Name}", value.Value);
        foreach (int layer in source.MoeLayers) AddLayer(file, source.Layer(layer));

        var others = source.Tensors.Tensors.Keys.Except(source.MoeLayers.SelectMany(layer => source.Layer(layer).Tensors));
        foreach (string name in others) file.Add(Named(name), [.. source.Tensors.Tensors[name].Shape], PlainMatrix.ReadAll(source.Tensors.Data(name)));
        return file.Write(_folder.File("model.gguf"));
    }

    private static void AddLayer(RawGguf file, StoredMoeLayer layer)
    {
        string prefix = string.Create(CultureInfo.InvariantCulture, $"blk.{layer.Index}.");
        long E = layer.Options.Router.ExpertCount, D = layer.Options.HiddenSize, H = layer.Options.Experts.IntermediateSize;
        StoredMlp[] experts = [.. Enumerable.Range(0, (int)E).Select(layer.Expert)];
        file.Add($"{prefix}ffn_gate_inp.weight", [E, D], Values(layer.Router.Weight));
        if (layer.Router.LogitBias is { } logits) file.Add($"{prefix}ffn_gate_inp.bias", [E], [.. logits]);
        if (layer.Router.CorrectionBias is { } correction) file.Add($"{prefix}exp_probs_b.bias", [E], [.. correction]);
        file.Add($"{prefix}ffn_gate_exps.weight", [E, H, D], [.. experts.SelectMany(expert => Values(expert.Gate))]);
        file.Add($"{prefix}ffn_up_exps.weight", [E, H, D], [.. experts.SelectMany(expert => Values(expert.Up))]);
        file.Add($"{prefix}ffn_down_exps.weight", [E, D, H], [.. experts.SelectMany(expert => Values(expert.Down))]);
        if (experts[0].Biases is not null)
        {
            file.Add($"{prefix}ffn_gate_exps.bias", [E, H], [.. experts.SelectMany(expert => expert.Biases!.Gate)]);
            file.Add($"{prefix}ffn_up_exps.bias", [E, H], [.. experts.SelectMany(expert => expert.Biases!.Up)]);
            file.Add($"{prefix}ffn_down_exps.bias", [E, D], [.. experts.SelectMany(expert => expert.Biases!.Down)]);
        }

        if (layer.Shared is not { } shared) return;

        long S = shared.Gate.Rows;
        file.Add($"{prefix}ffn_gate_shexp.weight", [S, D], Values(shared.Gate));
        file.Add($"{prefix}ffn_up_shexp.weight", [S, D], Values(shared.Up));
        file.Add($"{prefix}ffn_down_shexp.weight", [D, S], Values(shared.Down));
    }

    private static string Named(string name)
    {
        (string, string)[] names =
        [
            ("model.embed_tokens", "token_embd"), ("lm_head", "output"), ("model.norm", "output_norm"), ("model.layers.", "blk."), ("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm"),
            ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"), ("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm"),
            ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
        ];
        return names.Aggregate(name, (text, pair) => text.Replace(pair.Item1, pair.Item2, StringComparison.Ordinal));
    }

    private sealed class Watch(Action onReport) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value) => onReport();
    }
}
