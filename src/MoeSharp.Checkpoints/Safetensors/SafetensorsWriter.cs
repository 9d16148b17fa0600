using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Writes safetensors files as the reference does: the types with the largest alignment first, then by name, the header padded so that
/// data start at a multiple of eight. Tensors are streamed; only the header is held in memory. The same tensors give the same bytes.
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>Only what JSON must escape, as the reference writes it; the result never lands in HTML.</summary>
    private static readonly JsonWriterOptions RelaxedEscaping = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly Dictionary<string, string> PyTorchMetadata = new() { ["format"] = "pt" };

    /// <summary>Writes a file, which appears whole or not at all (<see cref="AtomicFile"/>).</summary>
    /// <param name="path">The final name; a file of that name is replaced at the very end.</param>
    /// <param name="tensors">The tensors, in any order.</param>
    /// <param name="metadata">The texts under <c>__metadata__</c>; null for <c>{"format": "pt"}</c>, which transformers asks for.</param>
    /// <param name="cancellationToken">Stops the writing, also inside a tensor, and leaves nothing behind.</param>
    /// <exception cref="ArgumentException">Names, types or shapes that no file can hold; one message lists them all.</exception>
    /// <exception cref="InvalidOperationException">A tensor wrote more or fewer bytes than its type and shape take.</exception>
    /// <exception cref="IOException">The disk is full, or the folder is missing.</exception>
    public static void Write(
        string path,
        IReadOnlyList<TensorToWrite> tensors,
        IReadOnlyDictionary<string, string>? metadata = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tensors);

        var ordered = tensors.OrderByDescending(tensor => tensor.Type).ThenBy(tensor => tensor.Name, StringComparer.Ordinal).ToArray();
        long[] sizes = CheckedSizes(ordered);
        byte[] header = Header(ordered, sizes, metadata ?? PyTorchMetadata);

        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            for (int i = 0; i < ordered.Length; i++)
            {
                var exact = new ExactLengthStream(stream, ordered[i].Name, sizes[i], cancellationToken);
                ordered[i].WriteBytes(exact);
                exact.CheckComplete();
            }
        });
    }

    private static long[] CheckedSizes(TensorToWrite[] tensors)
    {
        var faults = new OptionFaults("The tensors to write");
        var names = new HashSet<string>();
        var sizes = new long[tensors.Length];
        faults.When(tensors.Length > SafetensorsHeader.MaximumTensors,
            $"There are {tensors.Length} tensors; one file holds {SafetensorsHeader.MaximumTensors}.");

        for (int i = 0; i < tensors.Length; i++)
        {
            var (name, type, shape, _) = tensors[i];
            string quoted = TensorName.Quote(name);
            faults.When(!names.Add(name), $"There are two tensors {quoted}.");
            faults.When(name == "__metadata__", $"The name {quoted} is the format's own.");
            if (TensorName.FindFault(name) is { } badName) faults.When(true, $"The name {quoted} {badName}.");
            faults.When(shape.Count > SafetensorsHeader.MaximumRank,
                $"Tensor {quoted} has {shape.Count} dimensions; the limit is {SafetensorsHeader.MaximumRank}.");
            if (shape.Any(size => size < 0)) faults.When(true, $"Tensor {quoted} has shape [{string.Join(", ", shape)}]; sizes are 0 or more.");
            else if (!type.TryGetByteCount(shape, out sizes[i], out string? badSize)) faults.When(true, $"Tensor {quoted}: {badSize}.");
        }

        faults.ThrowIfAny();
        return sizes;
    }

    /// <summary>The length, the JSON, and the spaces that align what follows.</summary>
    private static byte[] Header(TensorToWrite[] tensors, long[] sizes, IReadOnlyDictionary<string, string> metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        buffer.Write(stackalloc byte[SafetensorsHeader.LengthBytes]); // filled in below
        using (var json = new Utf8JsonWriter(buffer, RelaxedEscaping)) WriteJson(json, tensors, sizes, metadata);

        while (buffer.WrittenCount % 8 != 0) buffer.Write(" "u8);

        byte[] header = buffer.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - SafetensorsHeader.LengthBytes);
        return header;
    }

    private static void WriteJson(Utf8JsonWriter json, TensorToWrite[] tensors, long[] sizes, IReadOnlyDictionary<string, string> metadata)
    {
        json.WriteStartObject();
        if (metadata.Count > 0) WriteMetadata(json, metadata);

        long begin = 0;
        for (int i = 0; i < tensors.Length; i++)
        {
            json.WriteStartObject(tensors[i].Name);
            json.WriteString("dtype"u8, tensors[i].Type.FileName());
            WriteIntegers(json, "shape"u8, tensors[i].Shape);
            WriteIntegers(json, "data_offsets"u8, [begin, begin = checked(begin + sizes[i])]);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string> metadata)
    {
        json.WriteStartObject("__metadata__"u8);
        foreach (var (key, value) in metadata.OrderBy(entry => entry.Key, StringComparer.Ordinal)) json.WriteString(key, value);
        json.WriteEndObject();
    }

    private static void WriteIntegers(Utf8JsonWriter json, ReadOnlySpan<byte> name, IReadOnlyList<long> values)
    {
        json.WriteStartArray(name);
        foreach (long value in values) json.WriteNumberValue(value);
        json.WriteEndArray();
    }
}
