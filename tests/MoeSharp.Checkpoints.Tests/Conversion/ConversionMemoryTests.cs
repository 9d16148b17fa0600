using System.Buffers.Binary;
using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>A model of some gigabytes, of which a layer is converted. Its file has holes for weights: it takes no room.</summary>
public sealed class ConversionMemoryTests : IDisposable
{
    private const int Layers = 32, Experts = 8, Hidden = 512, Width = 2048;
    private const long LayerBytes = 3L * Experts * Hidden * Width * sizeof(float);

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData(ExpertLayout.Keep)]
    [InlineData(ExpertLayout.Fused)]
    public void Convert_ALayerOfALargeModel_HoldsAnExpertAtMost(ExpertLayout layout)
    {
        WriteModel();
        using var source = MoeCheckpoint.Open(_folder.File("model"));
        Assert.True(source.Tensors.Tensors.Values.Sum(tensor => tensor.ByteCount) > 3_000_000_000);

        long before = GC.GetAllocatedBytesForCurrentThread();
        var summary = CheckpointConverter.Convert(source, _folder.File("layer"), new() { Layers = [5], Layout = layout, Type = TensorType.BF16 });
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.InRange(summary.Bytes, LayerBytes / 2, LayerBytes / 2 + 100_000);
        Assert.InRange(allocated, 0, LayerBytes / 3);
    }

    [Theory]
    [InlineData(ExpertLayout.Published)]
    [InlineData(ExpertLayout.Fused)]
    public void Convert_AGgufFileOfBlocks_HoldsAnExpertAtMost(ExpertLayout layout)
    {
        var file = new RawGguf().Value("general.architecture", "llama");
        (string, uint)[] sizes = [("embedding_length", Hidden), ("block_count", 1), ("attention.head_count", 8), ("expert_count", Experts), ("expert_used_count", 2), ("feed_forward_length", Width), ("vocab_size", 32)];
        foreach (var (key, size) in sizes) file.Value($"llama.{key}", size);
        file.Tensor("blk.0.ffn_gate_inp.weight", GgufType.F32, [Hidden, Experts], new byte[Hidden * Experts * sizeof(float)]);
        file.Tensor("blk.0.attn_q.weight", GgufType.Q8_0, [Hidden, Hidden], new byte[Hidden * Hidden / 32 * 34]);
        byte[] blocks = new byte[Experts * Hidden * Width / 32 * 34];
        file.Tensor("blk.0.ffn_gate_exps.weight", GgufType.Q8_0, [Hidden, Width, Experts], blocks);
        file.Tensor("blk.0.ffn_up_exps.weight", GgufType.Q8_0, [Hidden, Width, Experts], blocks);
        file.Tensor("blk.0.ffn_down_exps.weight", GgufType.Q8_0, [Width, Hidden, Experts], blocks);
        using var source = MoeCheckpoint.Open(file.Write(_folder.File("model.gguf")));

        long before = GC.GetAllocatedBytesForCurrentThread();
        var summary = CheckpointConverter.Convert(source, _folder.File("target"), new() { Layout = layout });
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.InRange(summary.Bytes, LayerBytes, LayerBytes + 2_000_000);
        Assert.InRange(allocated, 0, LayerBytes / 3);
    }

    public void Dispose() => _folder.Dispose();

    private void WriteModel()
    {
        Directory.CreateDirectory(_folder.File("model"));
        File.WriteAllText(_folder.File("model/config.json"), $$"""
            { "model_type": "mixtral", "hidden_size": {{Hidden}}, "intermediate_size": {{Width}}, "num_hidden_layers": {{Layers}}, "num_local_experts": {{Experts}}, "num_experts_per_tok": 2,
              "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 32, "rms_norm_eps": 1e-5 }
            """);

        var tensors = new Dictionary<string, object>();
        long end = 0;
        for (int layer = 0; layer < Layers; layer++)
        {
            string block = $"model.layers.{layer}.block_sparse_moe";
            Add($"{block}.gate.weight", Experts, Hidden);
            for (int expert = 0; expert < Experts; expert++)
            {
                Add($"{block}.experts.{expert}.w1.weight", Width, Hidden);
                Add($"{block}.experts.{expert}.w2.weight", Hidden, Width);
                Add($"{block}.experts.{expert}.w3.weight", Width, Hidden);
            }
        }

        byte[] header = JsonSerializer.SerializeToUtf8Bytes(tensors), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        using var file = File.Create(_folder.File("model/model.safetensors"));
        file.Write(length);
        file.Write(header);
        file.SetLength(8 + header.Length + end);

        void Add(string name, long rows, long columns) => tensors.Add(name, new { dtype = "F32", shape = (long[])[rows, columns], data_offsets = (long[])[end, end += rows * columns * sizeof(float)] });
    }
}
