using System.Text.Json;
using System.Text.Unicode;

namespace MoeSharp.Checkpoints;

/// <summary>Parses the JSON of a <see cref="ShardIndex"/> in one pass: of a hundred thousand tensors it has ten megabytes.</summary>
internal ref struct ShardIndexParser
{
    private readonly string _path;
    private readonly byte[] _bytes;
    private readonly HashSet<string> _shards = [];
    private Utf8JsonReader _json;
    private List<KeyValuePair<string, string>>? _weightMap;
    private long? _totalSize;

    public ShardIndexParser(string path, byte[] json)
    {
        (_path, _bytes) = (path, json);
        _json = new Utf8JsonReader(json);
    }

    /// <summary>Reads the whole index.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public ShardIndex Parse()
    {
        try
        {
            if (!Utf8.IsValid(_bytes)) throw new CheckpointException(_path, "The file is not UTF-8.");

            ReadRoot();
        }
        catch (JsonException e)
        {
            throw new CheckpointException(_path, $"The file is not valid JSON: {e.Message}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new CheckpointException(_path, "The file has text that is no Unicode.", e);
        }

        if (_weightMap is null) throw NoWeightMap();
        if (_weightMap.Count == 0) throw new CheckpointException(_path, "'weight_map' is empty: no tensor is in any file.");
        return new ShardIndex(_weightMap, _totalSize);
    }

    private void ReadRoot()
    {
        _json.Read();
        if (_json.TokenType != JsonTokenType.StartObject)
        {
            _json.Skip();
            _json.Read();       // what is no JSON is reported as such
            throw NoWeightMap();
        }

        bool hasMetadata = false;
        while (Next() != JsonTokenType.EndObject)
        {
            if (_json.ValueTextEquals("weight_map"u8))
            {
                if (_weightMap is not null) throw Twice("weight_map");
                if (Next() != JsonTokenType.StartObject) throw NoWeightMap();
                ReadWeightMap(_weightMap = []);
            }
            else if (_json.ValueTextEquals("metadata"u8))
            {
                if (hasMetadata) throw Twice("metadata");
                hasMetadata = true;
                ReadMetadata();
            }
            else
            {
                Next();
                _json.Skip();
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
            if (Next() != JsonTokenType.String) throw new CheckpointException(_path, $"'weight_map' gives no file name for {TensorName.Quote(tensor)}.");
            if (!_json.ValueTextEquals(shard)) shard = Shared(_json.GetString()!);       // most follow each other
            map.Add(new(tensor, shard));
        }
    }

    /// <summary>One text for equal ones.</summary>
    private readonly string Shared(string shard)
    {
        if (_shards.TryGetValue(shard, out string? known)) return known;

        _shards.Add(shard);
        return shard;
    }

    private void ReadMetadata()
    {
        if (Next() != JsonTokenType.StartObject)
        {
            _json.Skip();
            return;
        }

        bool hasSize = false;
        while (Next() != JsonTokenType.EndObject)
        {
            bool isSize = _json.ValueTextEquals("total_size"u8);
            if (isSize && hasSize) throw Twice("total_size");
            hasSize |= isSize;
            Next();
            if (isSize && _json.TokenType == JsonTokenType.Number && _json.TryGetInt64(out long size)) _totalSize = size;
            _json.Skip();
        }
    }

    private JsonTokenType Next()
    {
        _json.Read();       // never false inside an object: an early end is an exception
        return _json.TokenType;
    }

    private readonly CheckpointException Twice(string name) => new(_path, $"The index has '{name}' twice.");

    private readonly CheckpointException NoWeightMap() => new(_path, "The index needs a 'weight_map' from tensor names to file names.");
}
