using System.Buffers.Binary;

namespace MoeSharp.Checkpoints;

/// <summary>
/// The header of a GGUF file, fully checked. The format is ggml's (docs/gguf.md of ggml), versions 2 and 3, which differ in nothing that is read here:
/// <code>
/// 0        4          8          16         24
/// | "GGUF" | version  | tensors  | values   | values: key, type, value    | tensors: name, sizes, type, offset | fill | data of the tensors |
/// </code>
/// Texts are behind their length, arrays behind type and length. The data start at a multiple of the alignment, and so does each tensor.
/// </summary>
internal sealed class GgufHeader
{
    public const int Length = 24;
    public const int MaximumValues = 65_536; // published files have tens
    public const int MaximumTensors = SafetensorsHeader.MaximumTensors;
    public const uint DefaultAlignment = 32;

    private const int SmallestValue = sizeof(ulong) + 1 + sizeof(uint) + 1;                                             // key of a letter, type, value of a byte
    private const int SmallestTensor = sizeof(ulong) + sizeof(uint) + sizeof(ulong) + sizeof(uint) + sizeof(ulong);     // no name, one size

    private GgufHeader(int version, IReadOnlyDictionary<string, GgufValue> metadata, List<GgufTensorEntry> entries, List<TensorInfo> places)
    {
        (Version, Metadata, Entries, Places) = (version, metadata, entries, places);
    }

    public int Version { get; }

    public IReadOnlyDictionary<string, GgufValue> Metadata { get; }

    /// <summary>The tensors in the order of their bytes.</summary>
    public IReadOnlyList<GgufTensorEntry> Entries { get; }

    /// <summary>Where the tensors are, in the same order.</summary>
    public IReadOnlyList<TensorInfo> Places { get; }

    /// <summary>Reads and checks the header of a mapped file.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public static GgufHeader Read(MappedFile file)
    {
        int version = ReadVersion(file);
        var cursor = new GgufCursor(file, sizeof(ulong));
        int tensorCount = ReadCount(cursor, SmallestTensor, MaximumTensors, "tensors");
        int valueCount = ReadCount(cursor, SmallestValue, MaximumValues, "values of metadata");

        var metadata = GgufMetadataReader.Read(cursor, valueCount);
        var entries = GgufTensorReader.Read(cursor, tensorCount);
        CheckNames(file, entries);
        var places = GgufLayout.Check(file, entries, cursor.Position, ReadAlignment(file, metadata));
        return new GgufHeader(version, metadata, entries, places);
    }

    private static int ReadVersion(MappedFile file)
    {
        if (file.Length < Length) throw new CheckpointException(file.Path, $"The file has {file.Length} bytes; a GGUF file starts with {Length} bytes of a header.");

        var start = file.Bytes(0, sizeof(ulong));
        if (!start.StartsWith("GGUF"u8)) throw new CheckpointException(file.Path, $"The file starts with the bytes {Convert.ToHexString(start[..4])}; a GGUF file starts with 'GGUF'.");

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(start[4..]);
        return version switch
        {
            2 or 3 => (int)version,
            1 => throw new CheckpointException(file.Path, "The file is GGUF of version 1, which is not supported; versions 2 and 3 are. Convert the model again."),
            _ when BinaryPrimitives.ReverseEndianness(version) is 1 or 2 or 3 =>
                throw new CheckpointException(file.Path, "The file is GGUF for big-endian machines, which is not supported. Fetch or convert the model for little-endian ones."),
            _ => throw new CheckpointException(file.Path, $"The file is GGUF of version {version}, which is not supported; versions 2 and 3 are."),
        };
    }

    private static int ReadCount(GgufCursor cursor, int smallest, int limit, string things)
    {
        long count = cursor.ReadCount(smallest, things);
        return count <= limit ? (int)count : throw cursor.Fault($"The header announces {count} {things}; the limit of this reader is {limit}.");
    }

    private static uint ReadAlignment(MappedFile file, OrderedDictionary<string, GgufValue> metadata)
    {
        const int Smallest = 8; // the format: a multiple of 8

        if (!metadata.TryGetValue(GgufKeys.Alignment, out var value)) return DefaultAlignment;
        if (value.Type == GgufValueType.U32 && value.GetInteger() is >= Smallest and var alignment && long.IsPow2(alignment)) return (uint)alignment;

        throw new CheckpointException(file.Path, $"Metadata '{GgufKeys.Alignment}' is {value} ({value.Type}); expected a power of two from {Smallest} on (U32).");
    }

    private static void CheckNames(MappedFile file, List<GgufTensorEntry> entries)
    {
        var names = new HashSet<string>(entries.Count);
        foreach (var entry in entries)
        {
            if (!names.Add(entry.Tensor.Name)) throw new CheckpointException(file.Path, $"The header names tensor {TensorName.Quote(entry.Tensor.Name)} twice.");
        }
    }
}
