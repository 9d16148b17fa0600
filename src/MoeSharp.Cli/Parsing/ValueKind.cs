using System.Globalization;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>Reads one kind of value from the command line, whatever the culture of the machine.</summary>
/// <param name="Expected">What a value looks like, to end "expected …".</param>
/// <param name="Parse">The value of a text, or false.</param>
internal sealed record ValueKind<T>(string Expected, ValueKind<T>.Parser Parse)
{
    public delegate bool Parser(string text, out T value);

    /// <summary>Every possible value, where there are few; shells complete them.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];
}

/// <summary>The kinds of values that our options take.</summary>
internal static class ValueKind
{
    // those that others end in come last
    private static readonly (string Unit, double Factor)[] Units = [("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1), ("", 1)];

    public static ValueKind<string> Text { get; } = new("a text", (string text, out string value) => (value = text) is not null);

    public static ValueKind<double> Number { get; } = new("a number", TryNumber);

    public static ValueKind<bool> Switch { get; } = new("true or false", bool.TryParse) { Words = ["true", "false"] };

    public static ValueKind<IReadOnlyList<int>> WholeNumbers { get; } = new("whole numbers such as 0,2,5", TryWholeNumbers);

    public static ValueKind<TokenRange> TokenRange { get; } = new("a range such as 0..7", TryTokenRange);

    public static ValueKind<int> WholeNumber { get; } = new("a whole number", TryWholeNumber);

    public static ValueKind<int> WholeNumberFrom(int least) =>
        new($"a whole number of {least} or more", (string text, out int value) => TryWholeNumber(text, out value) && value >= least);

    public static ValueKind<int> WholeNumberIn(int least, int most) =>
        new($"a whole number from {least} to {most}", (string text, out int value) => TryWholeNumber(text, out value) && value >= least && value <= most);

    public static ValueKind<double> NumberIn(double least, double most, string expected) =>
        new(expected, (string text, out double value) => TryNumber(text, out value) && value >= least && value <= most);

    /// <summary>A number of bytes with a decimal unit, or without one.</summary>
    public static ValueKind<long> Bytes { get; } = new("a size such as 5GB or 500MB", TryBytes);

    public static ValueKind<T> Choice<T>()
        where T : struct, Enum
    {
        var words = Enum.GetNames<T>().Select(ChoiceWord.Of).ToArray();
        var values = Enum.GetValues<T>();
        return new($"one of {string.Join(", ", words)}", TryChoice) { Words = words };

        bool TryChoice(string text, out T value)
        {
            int index = Array.FindIndex(words, word => Letters(word).Equals(Letters(text), StringComparison.OrdinalIgnoreCase)); // token_table, token-table, TokenTable
            value = index < 0 ? default : values[index];
            return index >= 0;
        }

        static string Letters(string word) => word.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal);
    }

    /// <summary>Some of a few things, by name, in the order given.</summary>
    public static ValueKind<IReadOnlyList<T>> SomeOf<T>(IReadOnlyList<T> all, Func<T, string> nameOf)
    {
        string[] names = [.. all.Select(nameOf)];
        return new($"one or more of {string.Join(", ", names)}", TrySome) { Words = names };

        bool TrySome(string text, out IReadOnlyList<T> value)
        {
            int[] indices = [.. text.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries).Select(word => Array.FindIndex(names, name => name.Equals(word, StringComparison.OrdinalIgnoreCase)))];
            value = [.. indices.Where(index => index >= 0).Distinct().Select(index => all[index])];
            return indices.Length > 0 && !indices.Contains(-1);
        }
    }

    /// <summary>Some of the members of an enumeration.</summary>
    public static ValueKind<IReadOnlyList<T>> SomeOf<T>()
        where T : struct, Enum => SomeOf(Enum.GetValues<T>(), value => ChoiceWord.Of(value.ToString()));

    private static bool TryWholeNumber(string text, out int value) =>
        int.TryParse(text.Replace("_", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);

    private static bool TryBytes(string text, out long value)
    {
        var (unit, factor) = Units.First(known => text.EndsWith(known.Unit, StringComparison.OrdinalIgnoreCase));
        bool isNumber = TryNumber(text[..^unit.Length].TrimEnd(), out double number) && number * factor is >= 1 and < 1e18;
        value = isNumber ? (long)(number * factor) : 0;
        return isNumber;
    }

    private static bool TryTokenRange(string text, out TokenRange value)
    {
        value = default;
        if (text.Split("..") is not [var from, var to] || !TryWholeNumber(from, out var first) || !TryWholeNumber(to, out var last)) return false;

        value = new(first, last);
        return first >= 0 && last >= first;
    }

    private static bool TryNumber(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);

    private static bool TryWholeNumbers(string text, out IReadOnlyList<int> value)
    {
        var numbers = new List<int>();
        value = numbers;
        foreach (var part in text.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries))
        {
            if (!TryWholeNumber(part, out var number)) return false;

            numbers.Add(number);
        }

        return true;
    }
}
