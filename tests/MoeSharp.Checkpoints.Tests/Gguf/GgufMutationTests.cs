using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Valid files changed at random: each opens and can be read to its last byte, or is refused with a message.</summary>
public sealed class GgufMutationTests : IDisposable
{
    private const int Mutants = 2000;

    /// <summary>No valid file here needs more; a reader that trusts a number in the file needs gigabytes.</summary>
    private const long AllocationLimit = 4 << 20;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void GgufFile_ChangedBytes_OpenOrThrowCheckpointException() => Check(1, (file, random) =>
    {
        for (int i = random.Next(1, 4); i > 0; i--) file[random.Next(file.Count)] = random.Next(3) switch { 0 => 0, 1 => 0xff, _ => (byte)random.Next(256) };
    });

    [Fact]
    public void GgufFile_FlippedBits_OpenOrThrowCheckpointException() => Check(2, (file, random) =>
    {
        for (int i = random.Next(1, 3); i > 0; i--) file[random.Next(file.Count)] ^= (byte)(1 << random.Next(8));
    });

    [Fact]
    public void GgufFile_InsertedOrRemovedBytes_OpenOrThrowCheckpointException() => Check(3, (file, random) =>
    {
        int position = random.Next(file.Count), count = random.Next(1, 9);
        if (random.Next(2) == 0) file.InsertRange(position, Enumerable.Range(0, count).Select(_ => (byte)random.Next(256)));
        else file.RemoveRange(position, Math.Min(count, file.Count - position));
    });

    [Fact]
    public void GgufFile_CutOrExtendedFile_OpensOrThrowsCheckpointException() => Check(4, (file, random) =>
    {
        int length = random.Next(file.Count + 1);
        file.RemoveRange(length, file.Count - length);
        file.AddRange(new byte[random.Next(64)]);
    });

    [Fact]
    public void GgufFile_HugeNumbers_OpenOrThrowCheckpointException() => Check(5, (file, random) =>
    {
        ulong number = random.Next(4) switch { 0 => ulong.MaxValue, 1 => long.MaxValue, 2 => 1UL << random.Next(64), _ => (1UL << random.Next(64)) - 1 };
        byte[] bytes = BitConverter.GetBytes(number);
        int position = random.Next(file.Count - bytes.Length);
        for (int i = 0; i < bytes.Length; i++) file[position + i] = bytes[i];
    });

    private static IReadOnlyList<byte[]> Originals { get; } =
    [
        new RawGguf()
            .Value("general.architecture", "qwen3moe")
            .Value("general.alignment", 32u)
            .Value("f", GgufValueType.F32, BitConverter.GetBytes(1f))
            .Value("b", GgufValueType.Flag, 1)
            .Values("tokens", "a", "bc", "")
            .Value("nested", GgufValueType.Array, RawGguf.Array(GgufValueType.Array, 2, [.. RawGguf.Array(GgufValueType.U8, 2, 1, 2), .. RawGguf.Array(GgufValueType.Flag, 1, 1)]))
            .Tensor("blk.0.attn_norm.weight", GgufType.F32, [8], new byte[32])
            .Tensor("blk.0.ffn_gate_exps.weight", GgufType.Q8_0, [32, 2, 2], new byte[136])
            .Tensor("blk.0.ffn_down_exps.weight", GgufType.Q4_K, [256, 1], new byte[144])
            .Bytes(),
        new RawGguf { Version = 2, Alignment = 8, FillsEnd = false }.Value("general.alignment", 8u).Tensor("a", GgufType.BF16, [3, 1], new byte[6]).Bytes(),
        new RawGguf().Value("split.count", (ushort)1).Bytes(),
    ];

    private void Check(int seed, Action<List<byte>, Random> mutate)
    {
        var random = new Random(seed + FuzzRun.Seed);
        string path = _folder.File("mutant.gguf");
        for (int i = 0; i < Mutants * FuzzRun.Rounds; i++)
        {
            List<byte> mutant = [.. Originals[i % Originals.Count]];
            mutate(mutant, random);
            File.WriteAllBytes(path, [.. mutant]);

            long before = GC.GetAllocatedBytesForCurrentThread();
            OpenOrRefuse(path);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocationLimit);
        }
    }

    private static void OpenOrRefuse(string path)
    {
        try
        {
            using var file = GgufFile.Open(path);
            foreach (var value in file.Metadata.Values) Read(value);
            foreach (string name in file.Tensors.Keys) Read(file, name);
        }
        catch (CheckpointException e)
        {
            Assert.StartsWith(path, e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(e.Message, char.IsControl);
        }
    }

    private static void Read(GgufValue value)
    {
        value.TryGetText(out _);
        if (value.Type != GgufValueType.Array) return;

        foreach (var item in value.Items) Read(item);
    }

    private static void Read(GgufFile file, string name)
    {
        var data = file.Data(name);
        Assert.Equal(data.Info.ByteCount, data.Bytes(0, (int)data.Info.ByteCount).Length);
        if (data.Info.Shape.Count is < 2 or > 3 || !GgufTypes.Decodable.Contains(file.Info(name).Type)) return;

        var weight = file.Weight(name);
        Assert.Equal(file.Info(name).Shape, weight.Shape);
        foreach (var matrix in weight.Matrices) matrix.Decode(0, matrix.Rows, new float[matrix.Rows * matrix.Columns]);
    }
}
