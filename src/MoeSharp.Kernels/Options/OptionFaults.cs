namespace MoeSharp;

/// <summary>Collects everything that is wrong with a set of options, so that a user reads all faults at once.</summary>
internal sealed class OptionFaults(string subject)
{
    private readonly List<string> _faults = [];

    /// <summary>Notes a fault when <paramref name="isFaulty"/>: what was given, what is allowed, what to do.</summary>
    public void When(bool isFaulty, string fault)
    {
        if (isFaulty) _faults.Add(fault);
    }

    /// <summary>Notes a fault when <paramref name="value"/> is none of its enumeration's members.</summary>
    public void WhenUndefined<T>(T value, string name)
        where T : struct, Enum =>
        When(!Enum.IsDefined(value), $"{name} is {value}; choose one of {string.Join(", ", Enum.GetNames<T>())}.");

    /// <summary>One message that lists every fault; null when there is none.</summary>
    public string? Message => _faults.Count switch
    {
        0 => null,
        1 => $"{subject}: {_faults[0]}",
        _ => $"{subject} has {_faults.Count} faults:{Environment.NewLine}  - {string.Join($"{Environment.NewLine}  - ", _faults)}",
    };

    /// <summary>Throws one <see cref="ArgumentException"/> that lists every fault, or returns.</summary>
    public void ThrowIfAny()
    {
        if (Message is { } message) throw new ArgumentException(message);
    }
}
