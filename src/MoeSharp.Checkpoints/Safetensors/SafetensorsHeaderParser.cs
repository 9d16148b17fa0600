using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Parses the JSON of a safetensors header in one pass, straight from its bytes: a checkpoint of a hundred thousand tensors
/// has twelve megabytes of it. Every entry is checked by itself; how entries lie beside each other is for <see cref="SafetensorsLayout"/>.
/// </summary>
internal ref struct SafetensorsHeaderParser
{
    private readonly string _file;
    private readonly long _dataStart;
    private Utf8JsonReader _json;
    private TensorType _lastType = TensorType.BF16;
    private long[] _lastShape = [];

    public SafetensorsHeaderParser(string file, ReadOnlySpan<byte> json, long dataStart)
    {
        _file = file;
        _dataStart = dataStart;
        _json = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 127 }); // as deep as the reference reads
    }

    public Dictionary<string, string> Metadata { get; } = [];

    public List<TensorInfo> Tensors { get; } = [];

    /// <summary>Reads the whole header.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public void Parse()
    {
        try
        {
            ReadEntries();
        }
        catch (JsonException e)
        {
            throw new CheckpointException(_file, $"The header is not valid JSON: {e.Message}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new CheckpointException(_file, "The header has text that is no Unicode: an escaped surrogate without its pair.", e);
        }
    }

    private void ReadEntries()
    {
        _json.Read();
        Expect(JsonTokenType.StartObject, "The header", name: null);
        bool hasMetadata = false;

        while (Next() != JsonTokenType.EndObject)
        {
            if (!_json.ValueTextEquals("__metadata__"u8))
            {
                ReadTensor();
                continue;
            }

            if (hasMetadata) throw Fault("The header has '__metadata__' twice.");
            hasMetadata = true;
            ReadMetadata();
        }

        _json.Read(); // throws if anything but white space follows
    }

    private void ReadMetadata()
    {
        Next();
        Expect(JsonTokenType.StartObject, "'__metadata__'", name: null);

        while (Next() != JsonTokenType.EndObject)
        {
            string key = _json.GetString()!; // a property name is never null
            Next();
            Expect(JsonTokenType.String, "'__metadata__' entry", key);
            if (!Metadata.TryAdd(key, _json.GetString()!)) throw Fault($"'__metadata__' has the key {TensorName.Quote(key)} twice.");
        }
    }

    private void ReadTensor()
    {
        string name = _json.GetString()!; // a property name is never null
        if (TensorName.FindFault(name) is { } fault) throw Fault($"Tensor name {TensorName.Quote(name)} {fault}.");
        if (Tensors.Count == SafetensorsHeader.MaximumTensors)
        {
            throw Fault($"The header has more than {SafetensorsHeader.MaximumTensors} tensors, the limit of this reader.");
        }

        Next();
        Expect(JsonTokenType.StartObject, "The entry of tensor", name);
        var entry = ReadFields(name);
        Tensors.Add(Check(name, entry));
    }

    private Entry ReadFields(string name)
    {
        var entry = new Entry();
        HashSet<string>? ignored = null;

        while (Next() != JsonTokenType.EndObject)
        {
            if (_json.ValueTextEquals("dtype"u8))
            {
                SetOnce(ref entry.Type, ReadType(name), name, "dtype");
            }
            else if (_json.ValueTextEquals("shape"u8))
            {
                SetOnce(ref entry.Shape, ReadShape(name), name, "shape");
            }
            else if (_json.ValueTextEquals("data_offsets"u8))
            {
                SetOnce(ref entry.Offsets, ReadOffsets(name), name, "data_offsets");
            }
            else
            {
                SkipField(name, ignored ??= []);
            }
        }

        return entry;
    }

    private TensorType ReadType(string name)
    {
        Next();
        Expect(JsonTokenType.String, "'dtype' of tensor", name);
        if (_json.ValueTextEquals(_lastType.FileName())) return _lastType;       // most tensors are of the type of the one before

        foreach (var known in TensorTypes.All)
        {
            if (_json.ValueTextEquals(known.FileName())) return _lastType = known;
        }

        string text = _json.GetString()!; // a string is never null
        throw Fault(
            $"Tensor {TensorName.Quote(name)} has dtype {TensorName.Quote(text)}; "
            + $"known are {string.Join(", ", TensorTypes.All.Select(known => known.FileName()))}.");
    }

    /// <summary>A shape; the same array for tensors of one shape that follow each other.</summary>
    private long[] ReadShape(string name)
    {
        scoped Span<long> sizes = stackalloc long[SafetensorsHeader.MaximumRank];
        sizes = sizes[..ReadIntegers(name, "'shape' of tensor", sizes)];
        return sizes.SequenceEqual(_lastShape) ? _lastShape : _lastShape = sizes.ToArray();
    }

    private (long Begin, long End) ReadOffsets(string name)
    {
        Span<long> offsets = stackalloc long[2];
        if (ReadIntegers(name, "'data_offsets' of tensor", offsets) != 2) throw NeedsOffsets(name);
        return (offsets[0], offsets[1]);
    }

    /// <summary>Reads a list into the start of a span, and returns how many there are.</summary>
    private int ReadIntegers(string name, string field, scoped Span<long> values)
    {
        Next();
        Expect(JsonTokenType.StartArray, field, name);
        int count = 0;

        while (Next() != JsonTokenType.EndArray)
        {
            if (!TryGetInteger(out long value))
            {
                throw Fault($"{field} {TensorName.Quote(name)} has an item that is no whole number from 0 to {long.MaxValue}.");
            }

            if (count == values.Length) throw Fault($"{field} {TensorName.Quote(name)} has more than {values.Length} items.");
            values[count++] = value;
        }

        return count;
    }

    /// <summary>Digits only: JSON also writes whole numbers as 1.0, 1e3 and -0, which the format forbids.</summary>
    private readonly bool TryGetInteger(out long value)
    {
        value = 0;
        return _json.TokenType == JsonTokenType.Number
            && !_json.ValueSpan.ContainsAnyExceptInRange((byte)'0', (byte)'9')
            && _json.TryGetInt64(out value);
    }

    private void SkipField(string name, HashSet<string> ignored)
    {
        string field = _json.GetString()!; // a property name is never null
        if (!ignored.Add(field)) throw Twice(name, field);
        Next();
        _json.Skip();
    }

    private readonly TensorInfo Check(string name, in Entry entry)
    {
        if (entry.Type is not { } type) throw Fault($"Tensor {TensorName.Quote(name)} has no 'dtype'.");
        if (entry.Shape is not { } shape) throw Fault($"Tensor {TensorName.Quote(name)} has no 'shape'.");
        if (entry.Offsets is not var (begin, end)) throw NeedsOffsets(name);
        if (begin > end || end > long.MaxValue - _dataStart)
        {
            throw Fault($"Tensor {TensorName.Quote(name)} has data_offsets [{begin}, {end}], which is no range of the file.");
        }
        if (!type.TryGetByteCount(shape, out long bytes, out string? fault)) throw Fault($"Tensor {TensorName.Quote(name)}: {fault}.");
        if (end - begin != bytes)
        {
            throw Fault(
                $"Tensor {TensorName.Quote(name)} has data_offsets [{begin}, {end}], {end - begin} bytes; "
                + $"shape [{string.Join(", ", shape)}] of {type.FileName()} takes {bytes}.");
        }

        return new TensorInfo(name, type, shape, _dataStart + begin, bytes);
    }

    private JsonTokenType Next()
    {
        _json.Read(); // never false inside an object: an early end is an exception
        return _json.TokenType;
    }

    private readonly void SetOnce<T>(ref T? field, T value, string name, string fieldName)
    {
        if (field is not null) throw Twice(name, fieldName);
        field = value;
    }

    /// <summary>Fails on another token; the message is put together only then, because this runs several times per tensor.</summary>
    private readonly void Expect(JsonTokenType expected, string subject, string? name)
    {
        if (_json.TokenType == expected) return;

        string of = name is null ? subject : $"{subject} {TensorName.Quote(name)}";
        throw Fault($"{of} is {Describe(_json.TokenType)}; expected {Describe(expected)}.");
    }

    private static string Describe(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "a list",
        JsonTokenType.String => "text",
        JsonTokenType.Number => "a number",
        JsonTokenType.Null => "null",
        _ => "true or false",
    };

    private readonly CheckpointException NeedsOffsets(string name) => Fault($"Tensor {TensorName.Quote(name)} needs 'data_offsets' of two numbers.");

    private readonly CheckpointException Twice(string name, string field) =>
        Fault($"Tensor {TensorName.Quote(name)} has '{TensorName.Quote(field)[1..^1]}' twice.");

    private readonly CheckpointException Fault(string message) => new(_file, message);

    private struct Entry
    {
        public TensorType? Type;
        public long[]? Shape;
        public (long Begin, long End)? Offsets;
    }
}
