namespace MoeSharp;

/// <summary>
/// A Mixture-of-Experts layer in full: how tokens choose experts, what an expert computes, and what every token computes beside them.
/// Immutable; change one with <c>with</c>. A model family is a set of these values, never a switch on its name.
/// </summary>
public sealed record MoeOptions
{
    /// <summary>The width D of the tokens that enter and leave the layer; at least 1.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>How tokens choose their experts, and with which weights.</summary>
    public required RouterOptions Router { get; init; }

    /// <summary>What each routed expert computes.</summary>
    public required ExpertOptions Experts { get; init; }

    /// <summary>The expert that every token passes through besides its chosen ones; null (the default) when there is none.</summary>
    public SharedExpertOptions? Shared { get; init; }

    /// <summary>Which implementation computes the experts; <see cref="ExpertBackend.Auto"/> takes the fastest that fits.</summary>
    public ExpertBackend Backend { get; init; }

    /// <summary>Checks every value and every rule between values.</summary>
    /// <exception cref="ArgumentException">One message that lists all faults.</exception>
    public void Validate()
    {
        var faults = new OptionFaults(nameof(MoeOptions));
        CollectFaults(faults);
        faults.ThrowIfAny();
    }

    internal void CollectFaults(OptionFaults faults)
    {
        faults.When(HiddenSize < 1, $"HiddenSize is {HiddenSize}; set it to 1 or more.");
        faults.When(!Enum.IsDefined(Backend), $"Backend is {(int)Backend}; choose one of {string.Join(", ", Enum.GetNames<ExpertBackend>())}.");
        Router.CollectFaults(faults);
        Experts.CollectFaults(faults);
        Shared?.CollectFaults(faults);
    }
}
