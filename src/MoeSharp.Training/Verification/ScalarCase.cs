using System.Runtime.InteropServices;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>
/// The tensor case of number types: codes and what they are in float32, and floats and the nearest codes. Compared bit by bit.
/// </summary>
internal static class ScalarCase
{
    private const string Decoded = ".float32", Encode = "encode.", Input = "encode.input";

    private static readonly Dictionary<string, (string Codes, TensorType Type, Func<byte, float> Decode)> Bytes = new()
    {
        ["e4m3"] = (".codes", TensorType.F8E4M3, SmallFloat.FromE4M3),
        ["e5m2"] = (".codes", TensorType.F8E5M2, SmallFloat.FromE5M2),
        ["e8m0"] = (".codes", TensorType.F8E8M0, SmallFloat.FromE8M0),
        ["e4m3fnuz"] = (".codes", TensorType.F8E4M3Fnuz, SmallFloat.FromE4M3Fnuz),
        ["e5m2fnuz"] = (".codes", TensorType.F8E5M2Fnuz, SmallFloat.FromE5M2Fnuz),
        ["f6_e2m3"] = (".codes_u8", TensorType.U8, SmallFloat.FromE2M3),
        ["f6_e3m2"] = (".codes_u8", TensorType.U8, SmallFloat.FromE3M2),
        ["f4_e2m1"] = (".codes_u8", TensorType.U8, SmallFloat.FromE2M1),
    };

    public static VerifyReport Verify(SafetensorsFile file)
    {
        List<VerifyRow> rows = [];
        HashSet<string> used = [];
        foreach (string name in file.Tensors.Keys.Where(name => name.EndsWith(Decoded, StringComparison.Ordinal))) Row(name, Ours(file, name[..^Decoded.Length], used));
        foreach (string name in file.Tensors.Keys.Where(name => name.StartsWith(Encode, StringComparison.Ordinal) && name != Input)) Row(name, Encoded(file, name[Encode.Length..], used));

        return new VerifyReport(file.Path, "tensor", rows, [.. file.Tensors.Keys.Where(name => !used.Contains(name))]);

        void Row(string name, float[]? ours)
        {
            if (ours is null) return;

            var theirs = file.Data(name);
            float[] values = Values(theirs);
            if (values.Length != ours.Length) throw new CheckpointException(file.Path, $"{theirs.Info} is expected to have {ours.Length} values.");

            var bits = new BitComparison(TensorType.F32);
            for (int i = 0; i < ours.Length; i++) bits.Add(ours[i], values[i]);
            rows.Add(new VerifyRow(name, theirs.Info.Shape, bits.Error, 0));
            used.Add(name);
        }
    }

    private static float[]? Ours(SafetensorsFile file, string type, HashSet<string> used)
    {
        if (type is "f16" or "bf16") return Read($"{type}.codes", type == "f16" ? TensorType.F16 : TensorType.BF16, Values);

        return Bytes.TryGetValue(type, out var known) ? Read(type + known.Codes, known.Type, data => [.. data.Bytes(0, (int)data.Info.ByteCount).ToArray().Select(known.Decode)]) : null;

        float[] Read(string name, TensorType expected, Func<TensorData, float[]> decode)
        {
            var data = file.Data(name);
            if (data.Info.Type != expected) throw new CheckpointException(file.Path, $"{data.Info} is expected to be {expected.FileName()}.");

            used.Add(name);
            return decode(data);
        }
    }

    private static float[]? Encoded(SafetensorsFile file, string type, HashSet<string> used)
    {
        Func<float, float>? nearest = type switch
        {
            "bf16" => value => BitConverter.Int32BitsToSingle(BFloat16Values.Round(value) << 16),
            "f16" => value => (float)(Half)value,
            "e4m3" => value => SmallFloat.FromE4M3(SmallFloat.ToE4M3(value)),
            "e5m2" => value => SmallFloat.FromE5M2(SmallFloat.ToE5M2(value)),
            _ => null,
        };
        if (nearest is null) return null;

        used.Add(Input);
        return [.. Values(file.Data(Input)).Select(nearest)];
    }

    private static float[] Values(TensorData data)
    {
        var bytes = data.Bytes(0, (int)data.Info.ByteCount);
        return data.Info.Type switch
        {
            TensorType.F32 => MemoryMarshal.Cast<byte, float>(bytes).ToArray(),
            TensorType.F16 => [.. MemoryMarshal.Cast<byte, Half>(bytes).ToArray().Select(value => (float)value)],
            TensorType.BF16 => [.. MemoryMarshal.Cast<byte, ushort>(bytes).ToArray().Select(bits => BitConverter.Int32BitsToSingle(bits << 16))],
            TensorType.F8E4M3 => [.. bytes.ToArray().Select(SmallFloat.FromE4M3)],
            TensorType.F8E5M2 => [.. bytes.ToArray().Select(SmallFloat.FromE5M2)],
            _ => throw new InvalidOperationException($"{data.Info} is no tensor of floats."),
        };
    }
}
