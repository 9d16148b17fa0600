using System.Buffers;
using System.Buffers.Binary;
using System.Text.Unicode;

namespace MoeSharp.Checkpoints;

/// <summary>
/// The header of a safetensors file, fully checked:
/// <code>
/// 0        8                    8 + N                                  end of file
/// | N, u64 | JSON: N bytes      | data of the tensors, without holes   |
/// </code>
/// The rules are those of the reference (safetensors 0.8.0, Rust) and stricter where it lets contradictions pass: nothing may occur
/// twice, and names, ranks and counts have limits.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The reference's limit on N, so that a wrong length cannot ask for memory.</summary>
    public const long MaximumLength = 100_000_000;

    public const int LengthBytes = sizeof(ulong);
    public const int MaximumRank = 64;
    public const int MaximumTensors = 1_000_000;

    private SafetensorsHeader(IReadOnlyDictionary<string, string> metadata, IReadOnlyDictionary<string, TensorInfo> tensors)
    {
        Metadata = metadata;
        Tensors = tensors;
    }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The tensors in the order of their bytes.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Reads and checks the header of a file, without mapping it.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public static SafetensorsHeader Read(MappedFile file)
    {
        int length = ReadLength(file);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            var json = buffer.AsSpan(0, length);
            file.Read(LengthBytes, json);
            return Parse(file, json);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static SafetensorsHeader Parse(MappedFile file, ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
        {
            throw new CheckpointException(file.Path, "The header is not UTF-8. This is no safetensors file, or it is damaged.");
        }

        var parser = new SafetensorsHeaderParser(file.Path, json, dataStart: LengthBytes + json.Length);
        parser.Parse();
        var tensors = SafetensorsLayout.Check(file.Path, parser.Tensors, dataStart: LengthBytes + json.Length, file.Length);
        return new SafetensorsHeader(parser.Metadata, tensors);
    }

    private static int ReadLength(MappedFile file)
    {
        if (file.Length < LengthBytes)
        {
            throw new CheckpointException(file.Path,
                $"The file has {file.Length} bytes; a safetensors file starts with 8 bytes that give the length of its header.");
        }

        Span<byte> start = stackalloc byte[LengthBytes];
        file.Read(0, start);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (length > MaximumLength)
        {
            throw new CheckpointException(file.Path,
                $"The first 8 bytes give a header of {length} bytes; the format allows {MaximumLength}. This is no safetensors file, or it is damaged.");
        }

        if ((long)length > file.Length - LengthBytes)
        {
            throw new CheckpointException(file.Path,
                $"The header has {length} bytes but only {file.Length - LengthBytes} follow its length. The file is incomplete: fetch it again.");
        }

        return (int)length;
    }
}
