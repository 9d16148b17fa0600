using System.CommandLine;
using System.Globalization;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>One value of <see cref="TrainingOptions"/> as an option of the command line.</summary>
internal abstract class TrainingSetting(string group, Option option)
{
    public string Group { get; } = group;

    public Option Option { get; } = option;

    /// <summary>The options with the user's value in place; as they are when the user gave none.</summary>
    public abstract TrainingOptions Apply(TrainingOptions options, ParseResult parsed);
}

/// <inheritdoc/>
internal sealed class TrainingSetting<T>(string group, ToolOption<T> option, Func<TrainingOptions, T, TrainingOptions> write) : TrainingSetting(group, option)
{
    public override TrainingOptions Apply(TrainingOptions options, ParseResult parsed) =>
        parsed.TryGet(option, out var value) ? write(options, value!) : options; // a value that was given was parsed
}

/// <summary>Makes the rows of <see cref="TrainingSettings"/>: the kind of value follows from the type.</summary>
internal sealed class TrainingSettingGroup(string title, TrainingOptions shown)
{
    public TrainingSetting Int(string name, string description, Func<TrainingOptions, int?> read, Func<TrainingOptions, int, TrainingOptions> write) =>
        Of(name, "N", ValueKind.WholeNumber, description, read(shown) is { } value ? Text(value) : null, write);

    public TrainingSetting Real(string name, string description, Func<TrainingOptions, double> read, Func<TrainingOptions, double, TrainingOptions> write) =>
        Of(name, "X", ValueKind.Number, description, Text(read(shown)), write);

    public TrainingSetting Ints(string name, string description, Func<TrainingOptions, IReadOnlyList<int>> read, Func<TrainingOptions, IReadOnlyList<int>, TrainingOptions> write) =>
        Of(name, "N,N", ValueKind.WholeNumbers, description, read(shown) is { Count: > 0 } value ? string.Join(",", value) : null, write);

    public TrainingSetting Switch(string name, string description, Func<TrainingOptions, bool> read, Func<TrainingOptions, bool, TrainingOptions> write) =>
        new TrainingSetting<bool>(title, ToolOption.Switch(name, description, read(shown) ? "true" : "false"), write);

    public TrainingSetting Choice<T>(string name, string description, Func<TrainingOptions, T> read, Func<TrainingOptions, T, TrainingOptions> write)
        where T : struct, Enum
    {
        var kind = ValueKind.Choice<T>();
        return Of(name, string.Join('|', kind.Words), kind, description, kind.Words[Convert.ToInt32(read(shown), CultureInfo.InvariantCulture)], write);
    }

    private TrainingSetting<T> Of<T>(string name, string valueName, ValueKind<T> kind, string description, string? shownDefault, Func<TrainingOptions, T, TrainingOptions> write) =>
        new(title, ToolOption.Of(name, valueName, kind, description, shownDefault), write);

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture).Replace('E', 'e');
}
