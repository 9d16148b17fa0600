using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Typed, strict access to a <c>config.json</c>: every wrong value is noted and replaced by its default, so that the caller can go on
/// and a user reads all faults at once.
/// </summary>
internal sealed class ConfigReader
{
    private const long MaximumLength = 16 << 20;

    private readonly JsonElement _object;
    private readonly string _prefix;
    private readonly List<string> _faults;
    private readonly List<string> _warnings;

    private ConfigReader(JsonElement @object, string prefix, List<string> faults, List<string> warnings)
    {
        _object = @object;
        _prefix = prefix;
        _faults = faults;
        _warnings = warnings;
    }

    /// <summary>Reads a file with <paramref name="read"/>, then throws if that noted any fault.</summary>
    public static T Read<T>(string file, Func<ConfigReader, T> read, out IReadOnlyList<string> warnings)
    {
        using var document = JsonFile.Parse(file, MaximumLength);
        return Read(file, document.RootElement, "config", read, out warnings);
    }

    /// <summary>Reads an object that was parsed already and that messages call <paramref name="what"/>.</summary>
    public static T Read<T>(string file, JsonElement root, string what, Func<ConfigReader, T> read, out IReadOnlyList<string> warnings)
    {
        if (root.ValueKind != JsonValueKind.Object) throw new CheckpointException(file, $"The {what} is {Shorten(root)}; expected an object.");

        var reader = new ConfigReader(root, "", [], []);
        reader.NoteRepeatedNames(root, "");
        var result = read(reader);
        if (reader._faults.Count > 0) throw CheckpointException.Listing(file, reader._faults);

        warnings = reader._warnings;
        return result;
    }

    public bool IsEmpty => !_object.EnumerateObject().Any();

    public void Fault(bool isFaulty, string fault)
    {
        if (isFaulty) _faults.Add(fault);
    }

    public void Warn(bool isOdd, string warning)
    {
        if (isOdd) _warnings.Add(warning);
    }

    /// <summary>A value, or null when it is absent or null.</summary>
    public JsonElement? Find(string key) =>
        _object.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public int Integer(string key, int absent, int minimum, int maximum)
    {
        if (!_object.TryGetProperty(key, out var value)) return absent;
        if (IsInteger(value, out int number) && number >= minimum && number <= maximum) return number;

        Mistyped(key, value, $"a whole number from {minimum} to {maximum}");
        return absent;
    }

    public int? OptionalInteger(string key, int minimum, int maximum) =>
        Find(key) is null ? null : Integer(key, absent: minimum, minimum, maximum);

    /// <summary>A finite number, whole or not, of at least <paramref name="minimum"/>; above it when <paramref name="isExclusive"/>.</summary>
    public double Number(string key, double absent, double minimum, bool isExclusive)
    {
        if (!_object.TryGetProperty(key, out var value)) return absent;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number)
            && (number > minimum || (number == minimum && !isExclusive)))
        {
            return number;
        }

        Mistyped(key, value, FormattableString.Invariant($"a number {(isExclusive ? "above" : "of at least")} {minimum}"));
        return absent;
    }

    public bool Flag(string key, bool absent)
    {
        if (!_object.TryGetProperty(key, out var value)) return absent;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();

        Mistyped(key, value, "true or false");
        return absent;
    }

    public string Text(string key, string absent)
    {
        if (!_object.TryGetProperty(key, out var value)) return absent;
        if (value.ValueKind == JsonValueKind.String) return value.GetString()!; // a string is never null

        Mistyped(key, value, "text");
        return absent;
    }

    /// <summary>A list of whole numbers; empty when it is absent or null.</summary>
    public IReadOnlyList<int> Integers(string key)
    {
        if (Find(key) is not { } value) return [];
        if (IsListOf(value, item => IsInteger(item, out _))) return [.. value.EnumerateArray().Select(item => item.GetInt32())];

        Mistyped(key, value, "a list of whole numbers");
        return [];
    }

    /// <summary>A list of texts; empty when it is absent or null.</summary>
    public IReadOnlyList<string> Texts(string key)
    {
        if (Find(key) is not { } value) return [];
        if (IsListOf(value, item => item.ValueKind == JsonValueKind.String)) return [.. value.EnumerateArray().Select(item => item.GetString()!)];

        Mistyped(key, value, "a list of texts");
        return [];
    }

    /// <summary>An object inside this one; null when it is absent or null.</summary>
    public ConfigReader? Object(string key)
    {
        if (Find(key) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Object) return new ConfigReader(value, $"{_prefix}{key}.", _faults, _warnings);

        Mistyped(key, value, "an object");
        return null;
    }

    /// <summary>The names in this object.</summary>
    public IEnumerable<string> Keys => _object.EnumerateObject().Select(property => property.Name);

    /// <summary>Notes a fault for a key whose value asks for something that this reader cannot do.</summary>
    public void Unsupported(bool isUnsupported, string key, string expected)
    {
        if (isUnsupported)
        {
            _faults.Add($"{_prefix}{key} is {Shorten(_object.GetProperty(key))}, which is not supported; expected {expected}.");
        }
    }

    /// <summary>Notes a fault for every key that is none of <paramref name="known"/>.</summary>
    public void RejectOthers(params ReadOnlySpan<string> known)
    {
        foreach (var property in _object.EnumerateObject())
        {
            if (!known.Contains(property.Name)) Unsupported(true, property.Name, "no such key here");
        }
    }

    /// <summary>For messages: "key is 8", or "key is absent, which means 8".</summary>
    public string Describe(string key, int value) =>
        _object.TryGetProperty(key, out _) ? $"{_prefix}{key} is {value}" : $"{_prefix}{key} is absent, which means {value}";

    private static bool IsListOf(JsonElement value, Func<JsonElement, bool> isItem) =>
        value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(isItem);

    private static bool IsInteger(JsonElement value, out int number)
    {
        number = 0;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out number);
    }

    private void Mistyped(string key, JsonElement value, string expected) =>
        _faults.Add($"{_prefix}{key} is {Shorten(value)}; expected {expected}.");

    private void NoteRepeatedNames(JsonElement element, string path)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in element.EnumerateArray()) NoteRepeatedNames(item, $"{path}[].");
        }

        if (element.ValueKind != JsonValueKind.Object) return;

        var names = new HashSet<string>();
        foreach (var property in element.EnumerateObject())
        {
            if (!names.Add(property.Name)) _faults.Add($"{path}{TensorName.Quote(property.Name)[1..^1]} is given twice.");
            NoteRepeatedNames(property.Value, $"{path}{TensorName.Quote(property.Name)[1..^1]}.");
        }
    }

    private static string Shorten(JsonElement value)
    {
        const int Shown = 60;

        string line = string.Join(' ', value.GetRawText().Split('\n', StringSplitOptions.TrimEntries));      // lists may go over several; texts have none
        string text = TensorName.Quote(line)[1..^1];
        return text.Length <= Shown ? text : $"{text[..Shown]}…";
    }
}
