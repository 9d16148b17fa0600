namespace MoeSharp.Training;

/// <summary>
/// Everything that decides what a training run computes. Immutable; a preset is an instance, <c>--config FILE.json</c> and the
/// options of <c>moesharp train</c> change single values, and the resolved options are saved in <c>run.json</c>.
/// </summary>
public sealed record TrainingOptions
{
    /// <summary>The shape of the model.</summary>
    public required ModelShape Model { get; init; }

    /// <summary>The number of optimiser steps; at least 1.</summary>
    public required int Steps { get; init; }

    /// <summary>Sequences per micro-batch; at least 1.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Tokens per sequence; at least 2.</summary>
    public required int SequenceLength { get; init; }

    /// <summary>Micro-batches per optimiser step; at least 1, default 1.</summary>
    public int Accumulation { get; init; } = 1;

    /// <summary>The largest learning rate; above 0.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Steps of linear warm-up to <see cref="LearningRate"/>; 0 or more.</summary>
    public int WarmupSteps { get; init; }

    /// <summary>The cosine ends at this share of <see cref="LearningRate"/>; 0 to 1, default 0.1.</summary>
    public double MinimumLearningRateFactor { get; init; } = 0.1;

    /// <summary>Adam's decay of the first moment; 0 to below 1, default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Adam's decay of the second moment; 0 to below 1, default 0.95.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Adam's epsilon; above 0, default 1e-8.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>
    /// The type that Adam's two moments are kept in: bfloat16 halves their memory, and needs <see cref="Beta1"/> and <see cref="Beta2"/> of
    /// at most 0.9921875. Default float32.
    /// </summary>
    public MomentPrecision Moments { get; init; }

    /// <summary>
    /// Whether experts that a step sends no token take the step (decay and moments) when they next get one: the same bits with less memory
    /// traffic, where many experts have no token in most steps. Default false.
    /// </summary>
    public bool DeferIdleExperts { get; init; }

    /// <summary>Decoupled weight decay of matrices (tensors with two or more dimensions); 0 or more, default 0.1.</summary>
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>The gradients' largest total 2-norm; 0 for no clipping, default 1.</summary>
    public double ClipNorm { get; init; } = 1;

    /// <summary>How tokens choose experts.</summary>
    public RoutingShape Router { get; init; } = new();

    /// <summary>How the load of the experts is kept even.</summary>
    public BalanceMode Balance { get; init; } = BalanceMode.Loss;

    /// <summary>The coefficient of the load-balance loss; 0 or more, default 0.01. Ignored unless <see cref="Balance"/> is <see cref="BalanceMode.Loss"/>.</summary>
    public double LoadBalanceCoefficient { get; init; } = 0.01;

    /// <summary>The step of the loss-free bias update; above 0, default 0.001. Ignored unless <see cref="Balance"/> is <see cref="BalanceMode.Bias"/>.</summary>
    public double BiasUpdateRate { get; init; } = 0.001;

    /// <summary>The coefficient of the router z-loss (ST-MoE, arXiv:2202.08906); 0 or more, default 0.001.</summary>
    public double ZLossCoefficient { get; init; } = 0.001;

    /// <summary>The type that matrix products compute in; parameters stay float32, and so do <see cref="Moments"/> unless they say otherwise. Default float32.</summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>What computes the experts; the default takes the fastest. Results differ by rounding only.</summary>
    public ExpertBackend Backend { get; init; }

    /// <summary>
    /// What the backward pass of the experts computes again instead of keeping it, as <see cref="MoeOptions.Recompute"/>: memory against time,
    /// with the same results. Default the activation.
    /// </summary>
    public Recompute Recompute { get; init; } = Recompute.Activation;

    /// <summary>Decides the initial weights and the order of the data; default 0.</summary>
    public int Seed { get; init; }

    /// <summary>The vocabulary of the tokenizer that is trained on the data; 257 or more, default 4,096. Ignored when a tokenizer is given.</summary>
    public int VocabularySize { get; init; } = 4096;

    /// <summary>The share of the documents that is held out from training; above 0 and below 1, default 0.02.</summary>
    public double HeldOutShare { get; init; } = 0.02;

    /// <summary>Steps between measurements on held-out text; 0 measures only at the end.</summary>
    public int EvaluateEvery { get; init; }

    /// <summary>Held-out tokens of a measurement during training (the one at the end takes all); at least 1, default 16,384.</summary>
    public int EvaluateTokens { get; init; } = 16_384;

    /// <summary>Steps between checkpoints for resuming; 0 writes one only at the end and when stopped.</summary>
    public int CheckpointEvery { get; init; }

    /// <summary>How many of the latest checkpoints are kept, besides the best; at least 1, default 2.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>A layer with the routing and the balance of these options.</summary>
    /// <param name="layer">The layer as its shape gives it.</param>
    /// <param name="vocabularySize">The number of token ids.</param>
    /// <param name="moeLayers">The number of MoE layers, which share the balance loss.</param>
    internal MoeOptions Route(MoeOptions layer, int vocabularySize, int moeLayers)
    {
        bool isRanked = Router.Select == RouterSelection.TopK;
        var routed = Router.Apply(layer, vocabularySize, Seed) with
        {
            LoadBalance = Balance == BalanceMode.Loss && LoadBalanceCoefficient > 0
                ? [new() { Coefficient = LoadBalanceCoefficient / Math.Max(moeLayers, 1), Scope = Router.BalanceScope, Scores = Router.BalanceScores }]
                : [],
            BalanceBias = Balance == BalanceMode.Bias && isRanked ? new(BiasUpdateRate) { Rule = Router.BiasRule } : null,
        };
        return routed with { Router = routed.Router with { HasCorrectionBias = routed.BalanceBias is not null }, Backend = Backend, Recompute = Recompute };
    }

    private const int MostTokens = 1 << 22;

    /// <summary>Checks every value and every rule between values.</summary>
    /// <exception cref="ArgumentException">One message that lists all faults.</exception>
    public void Validate()
    {
        var faults = new OptionFaults(nameof(TrainingOptions));
        Model.CollectFaults(faults);
        if (Model.ExpertCount >= 1) Router.CollectFaults(faults, this with { Model = Model.InBounds });
        faults.When(Steps < 1, $"Steps is {Steps}; set it to 1 or more.");
        faults.When(BatchSize < 1, $"BatchSize is {BatchSize}; set it to 1 or more.");
        faults.When(SequenceLength < 2, $"SequenceLength is {SequenceLength}; set it to 2 or more.");
        faults.When(BatchSize > 0 && SequenceLength > 1 && (long)BatchSize * SequenceLength > MostTokens, $"BatchSize {BatchSize} · SequenceLength {SequenceLength} is more than {MostTokens} tokens at once; make the batch smaller, and Accumulation larger.");
        faults.When(Accumulation < 1, $"Accumulation is {Accumulation}; set it to 1 or more.");
        faults.When(!(LearningRate > 0) || !double.IsFinite(LearningRate), $"LearningRate is {LearningRate}; set it above 0.");
        faults.When(WarmupSteps < 0, $"WarmupSteps is {WarmupSteps}; set it to 0 or more.");
        faults.When(!(MinimumLearningRateFactor is >= 0 and <= 1), $"MinimumLearningRateFactor is {MinimumLearningRateFactor}; set it to 0..1.");
        faults.When(!(Beta1 is >= 0 and < 1), $"Beta1 is {Beta1}; set it to 0 or more and below 1.");
        faults.When(!(Beta2 is >= 0 and < 1), $"Beta2 is {Beta2}; set it to 0 or more and below 1.");
        faults.WhenUndefined(Moments, "Moments");
        if (Moments == MomentPrecision.BFloat16)
        {
            const double Largest = AdamWWork.LargestBFloat16Beta;
            faults.When(Beta1 is > Largest and < 1, $"Beta1 is {Beta1} with bfloat16 moments, which cannot decay that slowly; set it to {Largest} or less, or Moments to float32.");
            faults.When(Beta2 is > Largest and < 1, $"Beta2 is {Beta2} with bfloat16 moments, which cannot decay that slowly; set it to {Largest} or less, or Moments to float32.");
        }

        faults.When(!(Epsilon > 0), $"Epsilon is {Epsilon}; set it above 0.");
        faults.When(!(WeightDecay >= 0), $"WeightDecay is {WeightDecay}; set it to 0 or more.");
        faults.When(!(ClipNorm >= 0), $"ClipNorm is {ClipNorm}; set it to 0 (no clipping) or more.");
        faults.When(!(LoadBalanceCoefficient >= 0), $"LoadBalanceCoefficient is {LoadBalanceCoefficient}; set it to 0 or more.");
        faults.When(!(BiasUpdateRate > 0), $"BiasUpdateRate is {BiasUpdateRate}; set it above 0.");
        faults.When(!(ZLossCoefficient >= 0), $"ZLossCoefficient is {ZLossCoefficient}; set it to 0 or more.");
        faults.WhenUndefined(Balance, "Balance");
        faults.WhenUndefined(Precision, "Precision");
        faults.WhenUndefined(Backend, "Backend");
        faults.WhenUndefined(Recompute, "Recompute");
        faults.When(VocabularySize < 257, $"VocabularySize is {VocabularySize}; set it to 257 or more (256 bytes and the end of text).");
        faults.When(!(HeldOutShare is > 0 and < 1), $"HeldOutShare is {HeldOutShare}; set it above 0 and below 1.");
        faults.When(EvaluateEvery < 0, $"EvaluateEvery is {EvaluateEvery}; set it to 0 (only at the end) or more.");
        faults.When(EvaluateTokens < 1, $"EvaluateTokens is {EvaluateTokens}; set it to 1 or more.");
        faults.When(CheckpointEvery < 0, $"CheckpointEvery is {CheckpointEvery}; set it to 0 (only at the end) or more.");
        faults.When(KeepCheckpoints < 1, $"KeepCheckpoints is {KeepCheckpoints}; set it to 1 or more.");
        faults.ThrowIfAny();
    }
}

/// <summary>How training keeps the load of the experts even.</summary>
public enum BalanceMode
{
    /// <summary>By a load-balance loss on the router (Shazeer et al. 2017; Fedus et al. 2021, arXiv:2101.03961).</summary>
    Loss,

    /// <summary>By a bias on the selection that follows the load, without a loss (Wang et al. 2024, arXiv:2408.15664).</summary>
    Bias,

    /// <summary>Not at all.</summary>
    None,
}

/// <summary>The type that matrix products compute in.</summary>
public enum ComputePrecision
{
    /// <summary>IEEE float32 throughout.</summary>
    Float32,

    /// <summary>bfloat16 products over float32 master weights; router, norms, losses and optimiser stay float32.</summary>
    BFloat16,
}

/// <summary>The type that the optimiser's moments are kept in.</summary>
public enum MomentPrecision
{
    /// <summary>IEEE float32: 8 bytes a parameter for both moments.</summary>
    Float32,

    /// <summary>bfloat16, rounded to nearest even each step: 4 bytes a parameter for both moments.</summary>
    BFloat16,
}
