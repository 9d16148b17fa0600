using System.Buffers.Binary;

namespace MoeSharp;

/// <summary>
/// Entries as the bytes of a record and back. A record is its kind, the length of its content, the content and a checksum; the content
/// of an entry is step, layer, sequences, sequence length and width, a byte of flags, then experts, weights and dropped choices.
/// </summary>
internal static class RoutingTraceRecord
{
    /// <summary>The whole record of an entry that has no fault.</summary>
    public static byte[] Encode(RoutingTraceEntry entry, int expertCount)
    {
        bool hasDropped = entry.Dropped.Span.Contains(true);
        ReadOnlySpan<long> numbers = [entry.Step, entry.Layer, entry.Sequences, entry.SequenceLength, entry.Width];
        long content = 1 + ArrayBytes(entry.Experts.Length, expertCount, hasDropped);
        foreach (long number in numbers) content += RoutingTraceFormat.VarintLength(number);

        byte[] record = new byte[1 + RoutingTraceFormat.VarintLength(content) + content + RoutingTraceFormat.ChecksumLength];
        record[0] = RoutingTraceFormat.EntryKind;
        int at = 1 + RoutingTraceFormat.WriteVarint(record.AsSpan(1), content);
        foreach (long number in numbers) at += RoutingTraceFormat.WriteVarint(record.AsSpan(at), number);
        record[at++] = hasDropped ? RoutingTraceFormat.HasDropped : (byte)0;
        at += WriteExperts(record.AsSpan(at), entry.Experts.Span, RoutingTraceFormat.BytesPerExpert(expertCount));
        at += WriteWeights(record.AsSpan(at), entry.Weights.Span);
        if (hasDropped) WriteBits(record.AsSpan(at), entry.Dropped.Span);
        RoutingTraceFormat.Seal(record);
        return record;
    }

    /// <summary>The entry of a record's content; false with what is wrong with it.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> content, IReadOnlyDictionary<int, RoutingTraceLayer> layers, out RoutingTraceEntry entry, out string fault)
    {
        Span<long> numbers = stackalloc long[5];
        entry = Empty;
        if (!TryReadNumbers(ref content, numbers, out byte flags)) return Fails("its first numbers are not in their form", out fault);

        var (step, layerIndex, sequences, sequenceLength, width) = (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]);
        if (layerIndex > int.MaxValue || !layers.TryGetValue((int)layerIndex, out var layer)) return Fails($"it is of layer {layerIndex}, which the header does not list", out fault);
        if (flags > RoutingTraceFormat.HasDropped) return Fails($"its flags are {flags}; expected 0 or 1", out fault);

        bool hasDropped = flags == RoutingTraceFormat.HasDropped;
        bool isShape = Math.Max(sequences, Math.Max(sequenceLength, width)) <= int.MaxValue && width > 0;
        var slots = isShape ? (Int128)sequences * sequenceLength * width : Int128.MaxValue;
        if (slots > RoutingTraceFormat.MostSlots || content.Length != ArrayBytes((long)slots, layer.ExpertCount, hasDropped))
        {
            return Fails($"it has {content.Length} bytes of choices, which do not fit the shape {sequences} × {sequenceLength} × {width}", out fault);
        }

        var (experts, weights) = (new int[(int)slots], new float[(int)slots]);
        content = content[ReadExperts(content, experts, RoutingTraceFormat.BytesPerExpert(layer.ExpertCount))..];
        content = content[ReadWeights(content, weights)..];
        bool[] dropped = [];
        if (hasDropped && !TryReadBits(content, dropped = new bool[(int)slots])) return Fails("its dropped choices have bits beyond the last, or none", out fault);

        entry = new() { Step = step, Layer = layer.Layer, Sequences = (int)sequences, SequenceLength = (int)sequenceLength, Width = (int)width, Experts = experts, Weights = weights, Dropped = dropped };
        fault = entry.FindFault(layer.ExpertCount) ?? "";
        return fault.Length == 0;
    }

    private static RoutingTraceEntry Empty { get; } = new() { Step = 0, Layer = 0, Sequences = 0, SequenceLength = 0, Width = 1, Experts = default, Weights = default };

    private static long ArrayBytes(long slots, int expertCount, bool hasDropped) =>
        slots * (RoutingTraceFormat.BytesPerExpert(expertCount) + 2) + (hasDropped ? (slots + 7) / 8 : 0);

    private static bool TryReadNumbers(ref ReadOnlySpan<byte> content, scoped Span<long> numbers, out byte flags)
    {
        flags = 0;
        foreach (ref long number in numbers)
        {
            if (!RoutingTraceFormat.TryReadVarint(content, out number, out int length)) return false;

            content = content[length..];
        }

        if (content.IsEmpty) return false;

        flags = content[0];
        content = content[1..];
        return true;
    }

    private static int WriteExperts(Span<byte> target, ReadOnlySpan<int> experts, int bytesPerExpert)
    {
        for (int i = 0; i < experts.Length; i++)
        {
            // none, -1, becomes the number with all bits set
            if (bytesPerExpert == 1) target[i] = unchecked((byte)experts[i]);
            else BinaryPrimitives.WriteUInt16LittleEndian(target[(2 * i)..], unchecked((ushort)experts[i]));
        }

        return experts.Length * bytesPerExpert;
    }

    private static int ReadExperts(ReadOnlySpan<byte> source, Span<int> experts, int bytesPerExpert)
    {
        int none = bytesPerExpert == 1 ? byte.MaxValue : ushort.MaxValue;
        for (int i = 0; i < experts.Length; i++)
        {
            int number = bytesPerExpert == 1 ? source[i] : BinaryPrimitives.ReadUInt16LittleEndian(source[(2 * i)..]);
            experts[i] = number == none ? RoutingTraceEntry.None : number;
        }

        return experts.Length * bytesPerExpert;
    }

    private static int WriteWeights(Span<byte> target, ReadOnlySpan<float> weights)
    {
        for (int i = 0; i < weights.Length; i++) BinaryPrimitives.WriteHalfLittleEndian(target[(2 * i)..], (Half)weights[i]);

        return weights.Length * 2;
    }

    private static int ReadWeights(ReadOnlySpan<byte> source, Span<float> weights)
    {
        for (int i = 0; i < weights.Length; i++) weights[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(source[(2 * i)..]);

        return weights.Length * 2;
    }

    private static void WriteBits(Span<byte> target, ReadOnlySpan<bool> bits)
    {
        for (int i = 0; i < bits.Length; i++)
        {
            if (bits[i]) target[i / 8] |= (byte)(1 << (i % 8));
        }
    }

    private static bool TryReadBits(ReadOnlySpan<byte> source, Span<bool> bits)
    {
        for (int i = 0; i < bits.Length; i++) bits[i] = (source[i / 8] >> (i % 8) & 1) != 0;

        bool isPadded = bits.Length % 8 != 0 && source[^1] >> (bits.Length % 8) != 0;
        return bits.Contains(true) && !isPadded;
    }

    private static bool Fails(string reason, out string fault)
    {
        fault = reason;
        return false;
    }
}
