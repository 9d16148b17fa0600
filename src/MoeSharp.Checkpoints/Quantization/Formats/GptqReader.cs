using System.Runtime.InteropServices;
using static MoeSharp.Checkpoints.QuantizedNames;

namespace MoeSharp.Checkpoints;

/// <summary>GPTQ and AWQ: both keep words in <c>qweight</c>, which run along the inputs in one and along the outputs in the other.</summary>
internal static class GptqReader
{
    private const int WordBits = 32, AwqPerWord = 8;

    public static WeightMatrix? Read(WeightParts parts, QuantizationScheme? scheme)
    {
        const string Why = "GPTQ and AWQ need it";
        var (codes, zeros, scales) = (parts.Require(GptqCodes, Why), parts.Require(GptqZeros, Why), parts.Require(GptqScales, Why));
        if (codes is null || zeros is null || scales is null) return null;
        if (!parts.IsOf(codes, TensorType.I32) | !parts.IsOf(zeros, TensorType.I32) | !parts.IsOf(scales, ScaleValues.Floats)) return null;
        if (!parts.IsMatrix(codes) | !parts.IsMatrix(zeros) | !parts.IsMatrix(scales)) return null;

        var all = new GptqParts(codes, zeros, scales);
        long outputs = scales.Info.Shape[1], across = codes.Info.Shape[1];
        bool isAwq = scheme is QuantizationScheme.Awq || (scheme is null && !parts.Has(GptqGroups) && across * AwqPerWord == outputs);
        bool fits = isAwq ? across * AwqPerWord == outputs : across == outputs;
        if (parts.Fault(!fits, $"Tensor {WeightParts.Shown(codes)}, but {WeightParts.Shown(scales)}: of GPTQ both have a column for each output, and of AWQ qweight has one for {AwqPerWord}.")) return null;

        return isAwq ? ReadAwq(parts, all, scheme as QuantizationScheme.Awq) : ReadGptq(parts, all, scheme as QuantizationScheme.Gptq);
    }

    private static AwqMatrix? ReadAwq(WeightParts parts, GptqParts all, QuantizationScheme.Awq? scheme)
    {
        int rows = (int)all.Scales.Info.Shape[1], columns = (int)all.Codes.Info.Shape[0];
        if (ReadGroups(parts, all, columns, scheme is not null, scheme?.GroupSize, perWord: AwqPerWord) is not { } groups) return null;

        parts.CheckScales(all.Scales);
        return new AwqMatrix(all.Codes.Info.Name, rows, columns, groups, all);
    }

    private static GptqMatrix? ReadGptq(WeightParts parts, GptqParts all, QuantizationScheme.Gptq? scheme)
    {
        int rows = (int)all.Scales.Info.Shape[1], bits = scheme?.Bits ?? GuessBits(parts, all);
        long inputs = all.Codes.Info.Shape[0] * (WordBits / bits);
        if (parts.Fault(inputs > int.MaxValue, $"Tensor {WeightParts.Shown(all.Codes)}; rows are too long.")) return null;
        if (scheme is { HasGroupIndex: true } && parts.Require(GptqGroups, "the config says desc_act = true") is null) return null;
        if (ReadGroups(parts, all, (int)inputs, scheme is not null, scheme?.GroupSize, WordBits / bits) is not { } groups) return null;

        bool isVersion1 = scheme?.IsVersion1 ?? true;
        parts.CheckScales(all.Scales);
        parts.Warn(isVersion1 && parts.ChecksValues && HasBorrow(all.Zeros, bits),
            $"Tensor {TensorName.Quote(all.Zeros.Info.Name)} stores zero points of -1: true zero points of 0, which are read as GPTQModel writes them; AutoGPTQ reads others there.");
        return new GptqMatrix(all.Codes.Info.Name, rows, (int)inputs, bits, isVersion1, groups, all);
    }

    // words of zero points run along the outputs, so their number tells how many a word holds; g_idx tells the number of inputs
    private static int GuessBits(WeightParts parts, GptqParts all)
    {
        int[] candidates = [4, 8, 2];
        var (outputs, words) = (all.Scales.Info.Shape[1], all.Zeros.Info.Shape[1]);
        long inputs = parts.Find(GptqGroups) is { Info.Shape: [var count] } ? count : 0;
        int bits = Array.Find(candidates, bits => words == Ceiling(outputs, WordBits / bits) && (inputs == 0 || all.Codes.Info.Shape[0] * (WordBits / bits) == inputs));
        return bits != 0 ? bits : candidates[0];
    }

    private static IntegerGroups? ReadGroups(WeightParts parts, GptqParts all, int columns, bool hasScheme, int? groupSize, int perWord)
    {
        var (count, outputs) = (all.Scales.Info.Shape[0], all.Scales.Info.Shape[1]);
        bool isOpen = !hasScheme && columns % count != 0;
        if (parts.Fault(isOpen, $"Tensor {WeightParts.Shown(all.Scales)}; {columns} inputs are no whole groups, so the config must say how large groups are.")) return null;

        int size = hasScheme ? Math.Min(groupSize ?? columns, columns) : (int)(columns / count);
        if (!parts.HasShape(all.Scales, $"a scale for {size} of {columns} inputs", Ceiling(columns, size), outputs)) return null;
        if (!parts.HasShape(all.Zeros, $"a zero point for each scale, {perWord} in a word", count, Ceiling(outputs, perWord))) return null;

        return parts.Find(GptqGroups) is { } index ? GroupIndexReader.Read(parts, index, columns, size, (int)count, isIgnoredWhenNegative: false) : new(size, (int)count, null);
    }

    private static bool HasBorrow(TensorData zeros, int bits)
    {
        const int Part = 1 << 20;
        uint ones = GptqMatrix.Ones(bits);
        for (long first = 0; first < zeros.Info.ByteCount; first += Part)
        {
            foreach (uint word in MemoryMarshal.Cast<byte, uint>(zeros.Bytes(first, (int)Math.Min(Part, zeros.Info.ByteCount - first))))
            {
                uint all = word;
                for (int bit = 1; bit < bits; bit++) all &= word >> bit;
                if ((all & ones) != 0) return true;
            }
        }

        return false;
    }

    private static long Ceiling(long count, long size) => (count + size - 1) / size;
}
