namespace MoeSharp;

/// <summary>
/// How tokens choose experts. Every known router is an instance of one pipeline, in this order: logits (+ logit bias) → score →
/// choice = score + correction bias → group limit on the choice → selection (top-k of the choice, ties to the lowest expert) → weights from the
/// unbiased score or from a softmax over the selected logits → renormalise → × scale → × per-expert scale → applied to the expert's
/// output or to its input. All of it runs in float32, whatever the model's type.
/// </summary>
public sealed record RouterOptions
{
    /// <summary>The number E of experts; at least 1.</summary>
    public required int ExpertCount { get; init; }

    /// <summary>The number K of experts that each token chooses; 1 to <see cref="ExpertCount"/>.</summary>
    public required int TopK { get; init; }

    /// <summary>The function from logits to scores; the default is softmax over all experts.</summary>
    public ScoreFunction Score { get; init; }

    /// <summary>Whether a learned bias [E] is added to the logits before everything else (GPT-OSS). Default false.</summary>
    public bool HasLogitBias { get; init; }

    /// <summary>
    /// Whether a bias [E] is added to the score for the selection only, never in the weights: the loss-free balancing of
    /// DeepSeek-V3 (Wang et al. 2024, arXiv:2408.15664). It is a buffer, without gradient. Default false.
    /// </summary>
    public bool HasCorrectionBias { get; init; }

    /// <summary>Restricts each token to the experts of its best groups (DeepSeek-V2 and V3); null (the default) for no limit.</summary>
    public GroupLimit? GroupLimit { get; init; }

    /// <summary>How experts are selected; the default is the top-k of the choice.</summary>
    public Selection Select { get; init; } = new Selection.TopK();

    /// <summary>A normalisation of what the router reads (Gemma 4); null (the default) for none.</summary>
    public RouterInputNorm? InputNorm { get; init; }

    /// <summary>In training, what the router reads is multiplied by even draws from 1 - x to 1 + x (Switch Transformer); 0 to below 1, default 0.</summary>
    public double InputJitter { get; init; }

    /// <summary>In training, each logit is multiplied by an even draw from 1 - x to 1 + x; 0 to below 1, default 0.</summary>
    public double LogitJitter { get; init; }

    /// <summary>Decides all that is drawn (jitter, SparseMixer's samples, random selection), with the step and the token's place; default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Where the weights of the selected experts come from; the default is their score.</summary>
    public WeightSource Weights { get; init; }

    /// <summary>Whether the weights are divided by their sum or norm. Default <see cref="Renormalization.Never"/>.</summary>
    public Renormalization Renormalize { get; init; }

    /// <summary>Added to the sum that renormalisation divides by (1e-20 in DeepSeek-V3); 0 or more, default 0. Ignored when weights are not renormalised.</summary>
    public double RenormalizeEpsilon { get; init; }

    /// <summary>The p of <see cref="Renormalization.PNorm"/>; above 0, default 1. Ignored otherwise.</summary>
    public double RenormalizePower { get; init; } = 1;

    /// <summary>Multiplies every weight after renormalisation (2.5 in DeepSeek-V3); finite, default 1.</summary>
    public double Scale { get; init; } = 1;

    /// <summary>Whether a learned scale [E] multiplies each weight by its expert's value (Gemma 4). Default false.</summary>
    public bool HasPerExpertScale { get; init; }

    /// <summary>Whether the weight multiplies the expert's output (the default) or its input (Llama 4).</summary>
    public WeightTarget ApplyTo { get; init; }

    /// <summary>Checks every value and every rule between values.</summary>
    /// <exception cref="ArgumentException">One message that lists all faults.</exception>
    public void Validate()
    {
        var faults = new OptionFaults(nameof(RouterOptions));
        CollectFaults(faults);
        faults.ThrowIfAny();
    }

    internal void CollectFaults(OptionFaults faults)
    {
        faults.When(ExpertCount < 1, $"ExpertCount is {ExpertCount}; set it to 1 or more.");
        faults.When(TopK < 1 || TopK > ExpertCount, $"TopK is {TopK} but there are {ExpertCount} experts; set TopK to 1..{Math.Max(ExpertCount, 1)}.");
        faults.WhenUndefined(Score, "Score");
        faults.WhenUndefined(Weights, "Weights");
        faults.WhenUndefined(Renormalize, "Renormalize");
        faults.WhenUndefined(ApplyTo, "ApplyTo");
        faults.When(!double.IsFinite(RenormalizeEpsilon) || RenormalizeEpsilon < 0, $"RenormalizeEpsilon is {RenormalizeEpsilon}; set it to 0 or more.");
        faults.When(!(RenormalizePower > 0 && double.IsFinite(RenormalizePower)), $"RenormalizePower is {RenormalizePower}; set it above 0.");
        faults.When(!(InputJitter is >= 0 and < 1), $"InputJitter is {InputJitter}; set it to 0 or more and below 1.");
        faults.When(!(LogitJitter is >= 0 and < 1), $"LogitJitter is {LogitJitter}; set it to 0 or more and below 1.");
        faults.When(!double.IsFinite(Scale), $"Scale is {Scale}; set it to a finite number.");
        faults.When(GroupLimit is not null && !Select.RanksExperts, $"GroupLimit restricts a top-k, but Select is {Select.GetType().Name}; set GroupLimit to null, or Select to TopK.");
        faults.When(HasCorrectionBias && !Select.RanksExperts, $"HasCorrectionBias moves a top-k, but Select is {Select.GetType().Name}; set it to false, or Select to TopK.");
        GroupLimit?.CollectFaults(faults, ExpertCount, TopK);
        InputNorm?.CollectFaults(faults);
        Select.CollectFaults(faults, this);
    }
}
