using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace MoeSharp;

/// <summary>
/// Reads a routing trace. Every length is checked against the file before memory is taken, every record against its checksum, every
/// expert against its layer: what is returned is what was written. Safe to use from several threads.
/// </summary>
public sealed class RoutingTraceReader : IDisposable
{
    private readonly Dictionary<int, RoutingTraceLayer> _layers;
    private readonly bool _allowPartial;
    private readonly SafeFileHandle _handle;
    private readonly long _length;
    private readonly long _start;

    private RoutingTraceReader(string path, bool allowPartial, SafeFileHandle handle)
    {
        (FilePath, _allowPartial, _handle) = (path, allowPartial, handle);
        _length = Guard(() => RandomAccess.GetLength(handle));
        (Header, _start) = ReadHeader();
        _layers = Header.Layers.ToDictionary(layer => layer.Layer);
        IsComplete = EndsInItsEnd();
    }

    /// <summary>The file.</summary>
    public string FilePath { get; }

    /// <summary>What the trace is of.</summary>
    public RoutingTraceHeader Header { get; }

    /// <summary>Whether the writer came to the end; if not, the run was cut off.</summary>
    public bool IsComplete { get; }

    /// <summary>Opens a trace and reads its header.</summary>
    /// <param name="path">The file.</param>
    /// <param name="allowPartial">Whether entries may be read from a trace that was cut off, up to its last whole record.</param>
    /// <exception cref="MoeException">The file cannot be read, is no trace, or its header is damaged.</exception>
    public static RoutingTraceReader Open(string path, bool allowPartial = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path)) throw new MoeException($"{path}: the file cannot be read: it is a folder.");

        var handle = Guard(path, () => File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete));
        try
        {
            return new(path, allowPartial, handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>The entries in the order of the file, each read when it is asked for. May be called again.</summary>
    /// <exception cref="MoeException">While enumerating: a record is damaged or cut off; the message says which. Those before it were returned.</exception>
    public IEnumerable<RoutingTraceEntry> ReadEntries() => ReadPlaces().Select(found => found.Entry);

    /// <summary>The entries with their places, to read them again by <see cref="ReadEntry"/>.</summary>
    internal IEnumerable<(RoutingTracePlace Place, RoutingTraceEntry Entry)> ReadPlaces()
    {
        byte[] buffer = [];
        var place = new RoutingTracePlace(0, _start);
        while (FindRecord(place.Record, place.At) is { } found) // none where it was cut off, and is allowed to be
        {
            if (buffer.Length < found.Length) buffer = new byte[found.Length];
            if (Decode(place, found, buffer.AsMemory(0, found.Length)) is not { } entry) yield break; // the end

            yield return (place, entry);
            place = new(place.Record + 1, place.At + found.Length);
        }
    }

    /// <summary>The entry at a place that <see cref="ReadPlaces"/> gave.</summary>
    internal RoutingTraceEntry ReadEntry(RoutingTracePlace place) =>
        FindRecord(place.Record, place.At) is { } found && Decode(place, found, new byte[found.Length]) is { } entry ? entry
        : throw Fault("The file changed while it was read.");

    /// <summary>Closes the file.</summary>
    public void Dispose() => _handle.Dispose();

    /// <summary>The entry of a record, after its checks; null for the end of the trace.</summary>
    private RoutingTraceEntry? Decode(RoutingTracePlace place, (int Length, int Prefix) found, Memory<byte> bytes)
    {
        Fill(bytes.Span, place.At);
        if (!RoutingTraceFormat.IsSealed(bytes.Span)) throw Fault(place.Record, place.At, "the checksum does not match: the file is damaged");

        var content = bytes.Span[found.Prefix..^RoutingTraceFormat.ChecksumLength];
        if (bytes.Span[0] == RoutingTraceFormat.EndKind)
        {
            CheckEnd(content, place.Record, place.At);
            return null;
        }

        return RoutingTraceRecord.TryDecode(content, _layers, out var entry, out string fault) ? entry : throw Fault(place.Record, place.At, fault);
    }

    private (RoutingTraceHeader Header, long Start) ReadHeader()
    {
        const int Prelude = RoutingTraceFormat.PreludeLength;
        Span<byte> prelude = stackalloc byte[Prelude];
        if (_length < Prelude) throw Fault($"The file has {_length} bytes; a routing trace starts with {Prelude}.");

        Fill(prelude, 0);
        if (!prelude.StartsWith(RoutingTraceFormat.Magic)) throw Fault("The file is no routing trace: it does not start with 'MOETRACE'.");

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(prelude[8..]);
        if (version != RoutingTraceFormat.Version) throw Fault($"The trace has version {version} of the format; this reader knows version {RoutingTraceFormat.Version}.");

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(prelude[12..]);
        long whole = Prelude + (long)length + RoutingTraceFormat.ChecksumLength;
        if (length > RoutingTraceFormat.MostHeaderBytes || whole > _length)
        {
            throw Fault($"The header is said to have {length} bytes; the file has {_length}, and a header {RoutingTraceFormat.MostHeaderBytes} at most. The file is cut off or damaged.");
        }

        byte[] start = new byte[whole];
        Fill(start, 0);
        if (!RoutingTraceFormat.IsSealed(start)) throw Fault("The checksum of the header does not match: the file is damaged.");
        if (!RoutingTraceHeaderJson.TryRead(start.AsMemory(Prelude, (int)length), out var header, out string fault)) throw Fault($"The header is wrong. {fault}");

        return (header, whole);
    }

    private bool EndsInItsEnd()
    {
        Span<byte> end = stackalloc byte[RoutingTraceFormat.EndLength];
        if (_length - _start < end.Length) return false;

        Fill(end, _length - end.Length);
        return end[0] == RoutingTraceFormat.EndKind && end[1] == sizeof(long) && RoutingTraceFormat.IsSealed(end);
    }

    /// <summary>The lengths of a record and of what comes before its content; null where a partial trace may end.</summary>
    private (int Length, int Prefix)? FindRecord(long record, long at)
    {
        Span<byte> prefix = stackalloc byte[(int)Math.Min(1 + RoutingTraceFormat.MostVarintBytes, _length - at)];
        Fill(prefix, at);
        if (prefix.IsEmpty) return CutOff(record, at, "the file ends before it, without the mark of its end");

        byte kind = prefix[0];
        if (kind is not (RoutingTraceFormat.EntryKind or RoutingTraceFormat.EndKind)) throw Fault(record, at, $"its kind is {kind}; expected {RoutingTraceFormat.EntryKind} or {RoutingTraceFormat.EndKind}: the file is damaged");
        if (!RoutingTraceFormat.TryReadVarint(prefix[1..], out long content, out int bytes))
        {
            bool mayGoOn = prefix.Length <= RoutingTraceFormat.MostVarintBytes && !prefix[1..].ContainsAnyInRange((byte)0, (byte)0x7f);
            return mayGoOn ? CutOff(record, at, "the file ends within its length") : throw Fault(record, at, "its length is not in its form: the file is damaged");
        }

        long left = _length - at - 1 - bytes - RoutingTraceFormat.ChecksumLength;
        if (content > left) return CutOff(record, at, $"it is said to have {content} bytes, but {Math.Max(0, left)} are left in the file");
        if (content > Array.MaxLength - 64) throw Fault(record, at, $"it has {content} bytes, more than a record can have: the file is damaged");

        return (1 + bytes + (int)content + RoutingTraceFormat.ChecksumLength, 1 + bytes);
    }

    private (int Length, int Prefix)? CutOff(long record, long at, string reason)
    {
        if (IsComplete) throw Fault(record, at, $"{reason}: the file is damaged"); // it has an end, so nothing was cut off
        if (!_allowPartial) throw Fault(record, at, $"{reason}: the run or the file was cut off. The records before it are whole: read the file as a partial trace (moesharp trace: --partial)");

        return null;
    }

    private void CheckEnd(ReadOnlySpan<byte> content, long record, long at)
    {
        if (content.Length != sizeof(long)) throw Fault(record, at, $"it ends the trace with {content.Length} bytes; expected {sizeof(long)}");

        long entries = BinaryPrimitives.ReadInt64LittleEndian(content);
        if (entries != record) throw Fault(record, at, $"it ends a trace of {entries} entries, but {record} come before it: the file is damaged");

        long left = _length - at - RoutingTraceFormat.EndLength;
        if (left != 0) throw Fault(record, at, $"it ends the trace, but {left} bytes follow");
    }

    private void Fill(Span<byte> target, long offset)
    {
        while (!target.IsEmpty)
        {
            int count;
            try
            {
                count = RandomAccess.Read(_handle, target, offset);
            }
            catch (Exception e) when (IsUnreadable(e))
            {
                throw Unreadable(FilePath, e);
            }

            if (count == 0) throw Fault("The file became shorter while it was read.");
            target = target[count..];
            offset += count;
        }
    }

    private T Guard<T>(Func<T> read) => Guard(FilePath, read);

    private static T Guard<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (IsUnreadable(e))
        {
            throw Unreadable(path, e);
        }
    }

    // a pipe or a device cannot be read at offsets
    private static bool IsUnreadable(Exception e) => e is IOException or UnauthorizedAccessException or NotSupportedException;

    private static MoeException Unreadable(string path, Exception e) => new($"{path}: the file cannot be read: {e.Message}", e);

    private MoeException Fault(string message) => new($"{FilePath}: {message}");

    private MoeException Fault(long record, long at, string reason) => new($"{FilePath}: record {record} (at byte {at}): {reason.TrimEnd('.')}.");
}

/// <summary>Where in a trace a record is: its number, from 0, and its first byte.</summary>
internal readonly record struct RoutingTracePlace(long Record, long At);
