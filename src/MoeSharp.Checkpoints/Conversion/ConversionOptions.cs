namespace MoeSharp.Checkpoints;

/// <summary>What a conversion makes of a checkpoint. The defaults copy it into as few files as fit.</summary>
public sealed record ConversionOptions
{
    /// <summary>How the experts are to be stored.</summary>
    public ExpertLayout Layout { get; init; }

    /// <summary>
    /// The type of all float tensors, rounded to nearest, ties to even: F32, BF16 or F16. Null keeps each tensor's own; dequantized weights then
    /// get the type that the config names, bfloat16 where it names none. Biases that only select experts are never rounded.
    /// </summary>
    public TensorType? Type { get; init; }

    /// <summary>Whether quantized weights are stored as plain numbers. So they are too where another layout or type changes them.</summary>
    public bool Dequantizes { get; init; }

    /// <summary>The most bytes of tensors in a file, at least 1; a larger tensor gets a file of its own. Default 5 GB.</summary>
    public long MaxShardBytes { get; init; } = 5_000_000_000;

    /// <summary>MoE layers that alone are converted, without the rest of the model; null for the whole model.</summary>
    public IReadOnlyList<int>? Layers { get; init; }

    /// <summary>Throws unless every option has a possible value.</summary>
    /// <exception cref="ArgumentException">The message lists all faults.</exception>
    public void Validate()
    {
        var faults = new OptionFaults(nameof(ConversionOptions));
        faults.WhenUndefined(Layout, nameof(Layout));
        faults.When(Type is { } type && !PlainMatrix.Types.Contains(type), $"Type is {Type}; choose F32, BF16 or F16.");
        faults.When(MaxShardBytes < 1, $"MaxShardBytes is {MaxShardBytes}; set it to 1 or more.");
        faults.When(Layers is { Count: 0 }, "Layers is empty; name one or more, or set it to null for the whole model.");
        faults.ThrowIfAny();
    }
}

/// <summary>A way of storing experts.</summary>
public enum ExpertLayout
{
    /// <summary>As the source has them.</summary>
    Keep,

    /// <summary>As the released files of the family: for most a tensor for each weight of each expert.</summary>
    Published,

    /// <summary>Stacked in few tensors, as transformers 5 holds the family's experts in memory: for most gate over up [E, 2H, D] and down [E, D, H].</summary>
    Fused,
}
