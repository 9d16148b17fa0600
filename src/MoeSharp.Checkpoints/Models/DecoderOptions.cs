namespace MoeSharp.Checkpoints;

/// <summary>
/// A decoder-only language model in full: what a family's <c>config.json</c> says, in orthogonal terms. Every layer is attention and
/// an MLP, each after an RMSNorm and added to the residual stream; the MLP is dense or a Mixture of Experts.
/// </summary>
public sealed record DecoderOptions
{
    /// <summary>The number V of tokens in the vocabulary; at least 2.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The width D of the residual stream; at least 1.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The longest sequence the model is meant for, in tokens; at least 1.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>The attention of every layer.</summary>
    public required AttentionOptions Attention { get; init; }

    /// <summary>The MLP of each layer, first to last; at least one. Equal instances may repeat.</summary>
    public required IReadOnlyList<MlpOptions> Layers { get; init; }

    /// <summary>Added to the mean square in every RMSNorm; above 0, default 1e-6.</summary>
    public double RmsNormEpsilon { get; init; } = 1e-6;

    /// <summary>Whether the output head is the token embedding (no weights of its own). Default false.</summary>
    public bool TieEmbeddings { get; init; }

    /// <summary>The standard deviation of freshly initialised matrices; above 0, default 0.02.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>The coefficient of the load-balance loss that the family's training adds; 0 or more, default 0.</summary>
    public double LoadBalanceCoefficient { get; init; }

    /// <summary>The id that starts a text; null when there is none.</summary>
    public int? BeginOfTextId { get; init; }

    /// <summary>The id that ends a text; null when there is none.</summary>
    public int? EndOfTextId { get; init; }

    /// <summary>Checks every value and every rule between values.</summary>
    /// <exception cref="ArgumentException">One message that lists all faults.</exception>
    public void Validate()
    {
        var faults = new OptionFaults(nameof(DecoderOptions));
        faults.When(VocabularySize < 2, $"VocabularySize is {VocabularySize}; set it to 2 or more.");
        faults.When(HiddenSize < 1, $"HiddenSize is {HiddenSize}; set it to 1 or more.");
        faults.When(MaxPositions < 1, $"MaxPositions is {MaxPositions}; set it to 1 or more.");
        faults.When(!(RmsNormEpsilon > 0 && double.IsFinite(RmsNormEpsilon)), $"RmsNormEpsilon is {RmsNormEpsilon}; set it above 0.");
        faults.When(!(InitializerRange > 0 && double.IsFinite(InitializerRange)), $"InitializerRange is {InitializerRange}; set it above 0.");
        faults.When(!(LoadBalanceCoefficient >= 0 && double.IsFinite(LoadBalanceCoefficient)),
            $"LoadBalanceCoefficient is {LoadBalanceCoefficient}; set it to 0 or more.");
        faults.When(BeginOfTextId is { } begin && (begin < 0 || begin >= VocabularySize), $"BeginOfTextId is {BeginOfTextId}; {OutsideVocabulary}");
        faults.When(EndOfTextId is { } end && (end < 0 || end >= VocabularySize), $"EndOfTextId is {EndOfTextId}; {OutsideVocabulary}");
        faults.When(Layers.Count < 1, "Layers is empty; give at least one.");
        Attention.CollectFaults(faults);
        foreach (var layer in Layers.Distinct()) layer.CollectFaults(faults, HiddenSize);
        faults.ThrowIfAny();
    }

    private string OutsideVocabulary => $"set it to a token of the vocabulary, 0..{VocabularySize - 1}, or to null.";
}
