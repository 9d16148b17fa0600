using System.Buffers.Binary;

namespace MoeSharp;

/// <summary>
/// Writes a routing trace, entry by entry, to a file beside the final one, which <see cref="Complete"/> renames. When the process is
/// killed, or the writer disposed of before that, the file aside (its name ends in <see cref="PartialSuffix"/>) stays and can be read up
/// to its last whole record. Safe to use from several threads.
/// </summary>
public sealed class RoutingTraceWriter : IDisposable
{
    /// <summary>What the name of a file has at its end until the trace is complete.</summary>
    public const string PartialSuffix = ".partial";

    private readonly Lock _lock = new();
    private readonly Dictionary<int, RoutingTraceLayer> _layers;
    private readonly string _path;
    private readonly FileStream _stream;
    private long _entries;
    private bool _isClosed;
    private bool _isBroken;

    /// <summary>Starts a trace; what an earlier writer of this name left aside is overwritten.</summary>
    /// <param name="path">The final name; its folder must exist.</param>
    /// <param name="header">What the trace is of.</param>
    /// <exception cref="ArgumentException">The header lists a layer twice, or one with numbers out of range, or is too long.</exception>
    /// <exception cref="IOException">The file cannot be created, or another writer holds it.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written to.</exception>
    public RoutingTraceWriter(string path, RoutingTraceHeader header)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(header);
        if (header.FindFault() is { } fault) throw new ArgumentException(fault, nameof(header));

        byte[] start = Start(header);
        _layers = header.Layers.ToDictionary(layer => layer.Layer);
        _path = Path.GetFullPath(path);

        // unbuffered: a record is one write, so that a killed process leaves whole ones. Windows renames only what is shared for it
        _stream = new FileStream(_path + PartialSuffix, FileMode.Create, FileAccess.Write, OperatingSystem.IsWindows() ? FileShare.Delete : FileShare.None, bufferSize: 0);
        try
        {
            _stream.Write(start);
        }
        catch
        {
            Discard();
            throw;
        }
    }

    /// <summary>The entries written so far.</summary>
    public long Entries
    {
        get
        {
            lock (_lock) return _entries;
        }
    }

    /// <summary>Writes an entry, which is not kept. Entries may come in any order of steps and layers.</summary>
    /// <param name="entry">The decisions of a layer in a call.</param>
    /// <exception cref="ArgumentException">The header does not list the layer, the lengths do not fit the shape, or an expert is out of range.</exception>
    /// <exception cref="InvalidOperationException">The trace is complete, or an earlier entry could not be written.</exception>
    /// <exception cref="IOException">The disk is full. The trace takes no more entries; those before stay readable aside.</exception>
    public void Append(RoutingTraceEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (!_layers.TryGetValue(entry.Layer, out var layer))
        {
            throw new ArgumentException($"The entry is of layer {entry.Layer}; the header of the trace lists {string.Join(", ", _layers.Keys)}.", nameof(entry));
        }

        if (entry.FindFault(layer.ExpertCount) is { } fault) throw new ArgumentException(fault, nameof(entry));

        byte[] record = RoutingTraceRecord.Encode(entry, layer.ExpertCount); // outside the lock: most of the work
        lock (_lock)
        {
            WriteRecord(record);
            _entries++;
        }
    }

    /// <summary>Ends the trace: it reaches the disk and takes its final name, replacing a file of that name.</summary>
    /// <exception cref="InvalidOperationException">The trace is complete already, or an entry could not be written.</exception>
    /// <exception cref="IOException">The disk is full, or the final name cannot be taken; the file aside stays.</exception>
    public void Complete()
    {
        lock (_lock)
        {
            WriteRecord(RoutingTraceFormat.EndRecord(_entries));
            _isBroken = true; // until all is done: an end cannot be written twice
            _stream.Flush(flushToDisk: true); // before the rename: otherwise a power cut may leave the new name on an empty file
            File.Move(_stream.Name, _path, overwrite: true);
            _isBroken = false;
            Close();
        }
    }

    /// <summary>Closes the file. Without <see cref="Complete"/> it stays aside, unless it has no entries.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isClosed) return;

            if (_entries == 0) Discard();
            else Close();
        }
    }

    private void WriteRecord(byte[] record)
    {
        if (_isClosed) throw new InvalidOperationException($"The trace {_path} is closed: it takes no more entries.");
        if (_isBroken) throw new InvalidOperationException($"The trace {_path} takes no more entries: one could not be written.");

        try
        {
            _stream.Write(record);
        }
        catch
        {
            _isBroken = true; // what comes after half a record could not be read
            throw;
        }
    }

    private void Close()
    {
        _isClosed = true;
        _stream.Dispose();
    }

    private void Discard()
    {
        Close();
        File.Delete(_stream.Name);
    }

    private static byte[] Start(RoutingTraceHeader header)
    {
        byte[] json = RoutingTraceHeaderJson.Write(header);
        if (json.Length > RoutingTraceFormat.MostHeaderBytes)
        {
            throw new ArgumentException($"The header takes {json.Length} bytes; a trace has {RoutingTraceFormat.MostHeaderBytes} at most. Give it less metadata.", nameof(header));
        }

        byte[] start = new byte[RoutingTraceFormat.PreludeLength + json.Length + RoutingTraceFormat.ChecksumLength];
        RoutingTraceFormat.Magic.CopyTo(start);
        BinaryPrimitives.WriteInt32LittleEndian(start.AsSpan(8), RoutingTraceFormat.Version);
        BinaryPrimitives.WriteInt32LittleEndian(start.AsSpan(12), json.Length);
        json.CopyTo(start.AsSpan(RoutingTraceFormat.PreludeLength));
        RoutingTraceFormat.Seal(start);
        return start;
    }
}
