using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Samples of every format with one part changed at random: each is refused with a message, or decodes without a fault.</summary>
public sealed class QuantizedMutationTests
{
    private const int MutationsOfASample = 60;

    public static TheoryData<string> Samples => [.. TensorSample.All.Where(sample => sample.Gguf is null).Select(sample => sample.Name)];

    [Theory, MemberData(nameof(Samples))]
    public void QuantizedWeights_OnePartChanged_IsRefusedOrDecodes(string name)
    {
        var random = new Random(name.Length + FuzzRun.Seed);
        var sample = TensorSample.Of(name);
        var configs = (QuantizationConfig?[])[null, sample.Config is null ? null : TensorSample.Parse(sample.Config)];
        for (int i = 0; i < MutationsOfASample * FuzzRun.Rounds; i++)
        {
            var tensors = Mutate(sample.Tensors, random);
            foreach (var config in configs) DecodeOrRefuse(tensors, config);
        }
    }

    private static void DecodeOrRefuse(MemoryTensors tensors, QuantizationConfig? config)
    {
        IReadOnlyList<QuantizedWeight> weights;
        try
        {
            weights = QuantizedWeights.Find(tensors, config);
        }
        catch (CheckpointException e)
        {
            Assert.NotEmpty(e.Message);
            return;
        }

        foreach (var matrix in weights.SelectMany(weight => weight.Matrices))
        {
            float[] decoded = new float[checked(matrix.Rows * matrix.Columns)];
            matrix.Decode(0, matrix.Rows, decoded);
            BitAssert.Equal(matrix.Value(matrix.Rows - 1, matrix.Columns - 1), decoded[^1]);
        }
    }

    private static MemoryTensors Mutate(MemoryTensors original, Random random)
    {
        var copy = new MemoryTensors();
        string[] names = [.. original.Tensors.Keys];
        string changed = names[random.Next(names.Length)];
        foreach (string name in names)
        {
            var data = original.Data(name);
            byte[] bytes = data.Bytes(0, (int)data.Info.ByteCount).ToArray();
            if (name != changed) copy.Add(name, data.Info.Type, [.. data.Info.Shape], bytes);
            else if (random.Next(8) != 0) AddChanged(copy, data.Info, bytes, random);        // else it is missing
        }

        return copy;
    }

    private static void AddChanged(MemoryTensors tensors, TensorInfo info, byte[] bytes, Random random)
    {
        var type = info.Type;
        long[] shape = [.. info.Shape];
        switch (random.Next(5))
        {
            case 0:
                type = TensorTypes.All[random.Next(TensorTypes.All.Count)];
                break;
            case 1 when shape.Length > 0:
                shape[random.Next(shape.Length)] += random.Next(-2, 3);
                break;
            case 2:
                shape = [.. shape, random.Next(3)];
                break;
            case 3 when shape.Length > 0:
                shape = shape[1..];
                break;
            default:
                if (bytes.Length > 0) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                break;
        }

        for (int i = 0; i < shape.Length; i++) shape[i] = Math.Max(shape[i], 0);
        long count = (shape.Aggregate(1L, (product, size) => product * size) * type.BitSize() + 7) / 8;
        if (shape.Aggregate(1L, (product, size) => product * size) * type.BitSize() % 8 != 0) (type, count) = (TensorType.U8, shape.Aggregate(1L, (product, size) => product * size));
        Array.Resize(ref bytes, (int)count);
        tensors.Add(info.Name, type, shape, bytes);
    }
}
