using System.Text.Json;

namespace MoeSharp;

/// <summary>
/// Reads the fields of one JSON object and notes every fault by the field's path. A field is known once it was asked for; those left when the
/// object is done are unknown. A faulty field reads as its default, so that reading goes on and all faults are found.
/// </summary>
internal sealed class ObjectReader
{
    private readonly OrderedDictionary<string, JsonElement> _fields = [];
    private readonly OrderedDictionary<string, bool> _known = [];              // name, whether it has a fault
    private readonly OptionFaults _faults;
    private readonly string _path;

    private ObjectReader(string path, OptionFaults faults) => (_path, _faults) = (path, faults);

    /// <summary>Reads a whole document; one that is no object gives what an empty one would.</summary>
    public static T Document<T>(JsonElement element, OptionFaults faults, Func<ObjectReader, T> read)
    {
        bool isObject = element.ValueKind == JsonValueKind.Object;
        faults.When(!isObject, $"the layer is {JsonText.Show(element)}; expected an object.");
        return isObject ? Read(element, "", faults, read) : read(new ObjectReader("", new OptionFaults("")));
    }

    /// <summary>Whether the document has a value for the field; null is none.</summary>
    public bool IsGiven(string name) => Find(name) is { ValueKind: not JsonValueKind.Null };

    /// <summary>A whole number that must be given.</summary>
    public int Integer(string name) => Required(name, "a whole number") is { } element ? ToInteger(name, element) : 0;

    /// <summary>A whole number.</summary>
    public int Integer(string name, int absent) => Find(name) is { } element ? ToInteger(name, element) : absent;

    /// <summary>A whole number or null.</summary>
    public int? IntegerOrNull(string name) => IsGiven(name) ? Integer(name) : null;

    /// <summary>A finite number that must be given.</summary>
    public double Number(string name) => Required(name, "a number") is { } element ? ToNumber(name, element) : 0;

    /// <summary>A finite number.</summary>
    public double Number(string name, double absent) => Find(name) is { } element ? ToNumber(name, element) : absent;

    /// <summary>A finite number or null.</summary>
    public double? NumberOrNull(string name) => IsGiven(name) ? Number(name) : null;

    /// <summary>true or false; false when absent.</summary>
    public bool Flag(string name)
    {
        if (Find(name) is not { } element) return false;
        if (element.ValueKind is not (JsonValueKind.True or JsonValueKind.False)) Mistyped(name, element, "true or false");
        return element.ValueKind == JsonValueKind.True;
    }

    /// <summary>One of some words.</summary>
    public T Word<T>(string name, Words<T> words, T absent = default)
        where T : struct
    {
        if (Find(name) is not { } element) return absent;
        if (JsonText.Of(element) is { } text && words.Find(text) is { } value) return value;

        Mistyped(name, element, words.Expected);
        return absent;
    }

    /// <summary>An object; one that is absent reads as an empty one.</summary>
    public T Object<T>(string name, Func<ObjectReader, T> read) =>
        Find(name) is { } element && IsObject(name, element)
            ? Read(element, At(name), _faults, read)
            : read(new ObjectReader(At(name), new OptionFaults("")));

    /// <summary>An object, or null for the same as none.</summary>
    public T ObjectOr<T>(string name, T absent, Func<ObjectReader, T> read) =>
        IsGiven(name) && IsObject(name, _fields[name]) ? Read(_fields[name], At(name), _faults, read) : absent;

    /// <summary>An object or null.</summary>
    public T? ObjectOrNull<T>(string name, Func<ObjectReader, T> read)
        where T : class =>
        ObjectOr<T?>(name, null, read);

    /// <summary>No object (null), one, or a list of objects.</summary>
    public IReadOnlyList<T> Objects<T>(string name, Func<ObjectReader, T> read)
    {
        if (!IsGiven(name)) return [];

        var element = _fields[name];
        if (element.ValueKind == JsonValueKind.Object) return [Read(element, At(name), _faults, read)];
        if (element.ValueKind == JsonValueKind.Array)
        {
            return [.. element.EnumerateArray().Index()
                .Where(item => IsObject($"{name}[{item.Index}]", item.Item))
                .Select(item => Read(item.Item, $"{At(name)}[{item.Index}]", _faults, read))];
        }

        Mistyped(name, element, "null, an object or a list of objects");
        return [];
    }

    /// <summary>Notes a fault of a field when <paramref name="isFaulty"/>; <paramref name="fault"/> goes on after the field's path.</summary>
    public void When(bool isFaulty, string name, string fault)
    {
        if (!isFaulty) return;

        if (_known.ContainsKey(name)) _known[name] = true;      // an item of a list is no field
        _faults.When(true, $"{At(name)} {fault}");
    }

    /// <summary>Notes a fault when a field is given although another field is not the word that gives it a meaning.</summary>
    public void OnlyWith(string name, string other, string word, bool holds) =>
        When(IsGiven(name) && !holds && !HasFault(other), name, $"is given, but {At(other)} is not {word}; leave it out, or set {other} to {word}.");

    /// <summary>Whether a fault of the field has been noted.</summary>
    public bool HasFault(string name) => _known.TryGetValue(name, out bool isFaulty) && isFaulty;

    /// <summary>The path of a field from the document's root.</summary>
    private string At(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    private static T Read<T>(JsonElement element, string path, OptionFaults faults, Func<ObjectReader, T> read)
    {
        var reader = new ObjectReader(path, faults);
        foreach (var property in element.EnumerateObject())
        {
            string name = JsonText.NameOf(property);
            bool isNew = reader._fields.TryAdd(name, property.Value);
            faults.When(!isNew, $"{reader.At(name)} is given more than once; keep one.");
        }

        var value = read(reader);
        reader.RejectUnknown();
        return value;
    }

    private void RejectUnknown()
    {
        foreach (string name in _fields.Keys)
        {
            if (_known.ContainsKey(name)) continue;

            string hint = ClosestName.Hint(name, _known.Keys);
            _faults.When(true, $"{At(name)} is not a field of the format{(hint.Length > 0 ? $".{hint}" : $"; expected one of {string.Join(", ", _known.Keys)}.")}");
        }
    }

    private JsonElement? Find(string name)
    {
        _known.TryAdd(name, false);
        return _fields.TryGetValue(name, out var element) ? element : null;
    }

    private JsonElement? Required(string name, string expected)
    {
        var element = Find(name);
        When(element is null, name, $"is missing; expected {expected}.");
        return element;
    }

    private int ToInteger(string name, JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Number)
        {
            if (element.TryGetInt32(out int value)) return value;

            double number = element.GetDouble();                // 2.0 and 1e3 are whole, too
            if (double.IsInteger(number) && number is >= int.MinValue and <= int.MaxValue) return (int)number;
        }

        Mistyped(name, element, "a whole number of at most 32 bits");
        return 0;
    }

    private double ToNumber(string name, JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Number && element.GetDouble() is var number && double.IsFinite(number)) return number;

        Mistyped(name, element, element.ValueKind == JsonValueKind.Number ? "a number within the range of a double" : "a number");
        return 0;
    }

    private bool IsObject(string name, JsonElement element)
    {
        bool isObject = element.ValueKind == JsonValueKind.Object;
        if (!isObject) Mistyped(name, element, "an object");
        return isObject;
    }

    private void Mistyped(string name, JsonElement element, string expected) =>
        When(true, name, $"is {JsonText.Show(element)}; expected {expected}.");
}
