using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Parses the JSON of a <see cref="ShardIndex"/> in one pass: of a hundred thousand tensors it has ten megabytes. Every name and text is decoded,
/// also of what is not used, so that bad UTF-8 and lone surrogates show here and nowhere later.
/// </summary>
internal ref struct ShardIndexParser(string path, byte[] bytes)
{
    private Utf8JsonReader _json = new(bytes);
    private List<KeyValuePair<string, string>>? _weightMap;
    private long? _totalSize;

    /// <summary>Reads the whole index.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public ShardIndex Parse()
    {
        try
        {
            ReadRoot();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw JsonFile.Invalid(path, e);
        }

        if (_weightMap is null) throw NoWeightMap();
        if (_weightMap.Count == 0) throw new CheckpointException(path, "'weight_map' is empty: no tensor is in any file.");
        return new ShardIndex(_weightMap, _totalSize);
    }

    private void ReadRoot()
    {
        _json.Read();
        if (_json.TokenType != JsonTokenType.StartObject)
        {
            Skip();
            _json.Read();       // what is no JSON is reported as such
            throw NoWeightMap();
        }

        bool hasMetadata = false;
        while (Next() != JsonTokenType.EndObject)
        {
            switch (_json.GetString())
            {
                case "weight_map":
                    if (_weightMap is not null) throw Twice("weight_map");
                    if (Next() != JsonTokenType.StartObject) throw NoWeightMap();
                    ReadWeightMap(_weightMap = []);
                    break;
                case "metadata":
                    if (hasMetadata) throw Twice("metadata");
                    hasMetadata = true;
                    ReadMetadata();
                    break;
                default:
                    Next();
                    Skip();
                    break;
            }
        }

        _json.Read();       // throws if anything but white space follows
    }

    private void ReadWeightMap(List<KeyValuePair<string, string>> map)
    {
        string shard = "";
        while (Next() != JsonTokenType.EndObject)
        {
            string tensor = _json.GetString()!;         // a property name is never null
            if (Next() != JsonTokenType.String) throw new CheckpointException(path, $"'weight_map' gives no file name for {TensorName.Quote(tensor)}.");
            if (!_json.ValueTextEquals(shard)) shard = _json.GetString()!;      // a string is never null, and most follow each other
            map.Add(new(tensor, shard));
        }
    }

    private void ReadMetadata()
    {
        if (Next() != JsonTokenType.StartObject)
        {
            Skip();
            return;
        }

        bool hasSize = false;
        while (Next() != JsonTokenType.EndObject)
        {
            bool isSize = _json.GetString() == "total_size";
            if (isSize && hasSize) throw Twice("total_size");
            hasSize |= isSize;
            Next();
            if (isSize && _json.TokenType == JsonTokenType.Number && _json.TryGetInt64(out long size)) _totalSize = size;
            Skip();
        }
    }

    /// <summary>Passes over the value that the reader is at.</summary>
    private void Skip()
    {
        int depth = _json.CurrentDepth;
        bool isInside = _json.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray;
        while (true)
        {
            if (_json.TokenType is JsonTokenType.PropertyName or JsonTokenType.String) _json.GetString();
            if (!isInside) return;

            Next();
            isInside = _json.CurrentDepth > depth;
        }
    }

    private JsonTokenType Next()
    {
        _json.Read();       // never false inside an object: an early end is an exception
        return _json.TokenType;
    }

    private readonly CheckpointException Twice(string name) => new(path, $"The index has '{name}' twice.");

    private readonly CheckpointException NoWeightMap() => new(path, "The index needs a 'weight_map' from tensor names to file names.");
}
