namespace MoeSharp.Training;

/// <summary>How text is continued.</summary>
public sealed record SamplingOptions
{
    /// <summary>The most tokens to add; 0 or more, default 128. A model's longest sequence also ends the text.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>Divides the logits: below 1 for safer text, 0 for always the likeliest token; 0 or more, default 0.8.</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Samples among this many likeliest tokens; 1 or more, null (the default) for all.</summary>
    public int? TopK { get; init; }

    /// <summary>Samples among the likeliest tokens that together reach this probability; above 0 and at most 1, null (the default) for all.</summary>
    public double? TopP { get; init; }

    /// <summary>Decides the samples; default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Whether keys and values of earlier tokens are kept (the default) or computed anew for each token.</summary>
    public bool UseCache { get; init; } = true;

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentException">One message that lists all faults.</exception>
    public void Validate()
    {
        var faults = new OptionFaults(nameof(SamplingOptions));
        faults.When(MaxNewTokens < 0, $"MaxNewTokens is {MaxNewTokens}; set it to 0 or more.");
        faults.When(!(Temperature >= 0) || !double.IsFinite(Temperature), $"Temperature is {Temperature}; set it to 0 (always the likeliest token) or more.");
        faults.When(TopK is < 1, $"TopK is {TopK}; set it to 1 or more, or leave it out.");
        faults.When(TopP is { } p && !(p is > 0 and <= 1), $"TopP is {TopP}; set it above 0 and at most 1, or leave it out.");
        faults.ThrowIfAny();
    }
}
