using System.Text.Json.Serialization;

namespace MoeSharp.Training;

/// <summary>What a training run reports while it goes, in order, from the thread that trains.</summary>
public abstract record TrainingEvent
{
    private protected TrainingEvent()
    {
    }
}

/// <summary>Preparation that takes time: reading data, training the tokenizer, tokenizing.</summary>
/// <param name="Activity">What is being done, as a short phrase.</param>
/// <param name="Share">How much of it is done, 0 to 1; null when unknown.</param>
public sealed record Preparing(string Activity, double? Share) : TrainingEvent;

/// <summary>The run is about to take its first step.</summary>
/// <param name="FirstStep">The number of the first step: 1, or more when resumed.</param>
/// <param name="Steps">The number of the last step.</param>
/// <param name="Parameters">The number of trained parameters.</param>
/// <param name="ActiveParameters">The number of parameters that one token passes through.</param>
/// <param name="TrainTokens">Tokens of training text.</param>
/// <param name="HeldOutTokens">Tokens of held-out text.</param>
/// <param name="VocabularySize">The number of tokens in the vocabulary.</param>
public sealed record TrainingStarted(int FirstStep, int Steps, long Parameters, long ActiveParameters, long TrainTokens, long HeldOutTokens, int VocabularySize) : TrainingEvent;

/// <summary>One optimiser step is done: a line of <c>metrics.jsonl</c>.</summary>
public sealed record StepCompleted : TrainingEvent
{
    /// <summary>The step, counted from 1.</summary>
    public required int Step { get; init; }

    /// <summary>Training tokens seen so far, this step's included.</summary>
    public required long Tokens { get; init; }

    /// <summary>The language-model loss in nats per token, a mean over the step's micro-batches.</summary>
    public required double Loss { get; init; }

    /// <summary>The load-balance loss without its coefficient, a mean over layers; K for perfectly even load.</summary>
    public required double LoadBalanceLoss { get; init; }

    /// <summary>The router z-loss without its coefficient, a mean over layers.</summary>
    public required double ZLoss { get; init; }

    /// <summary>The 2-norm of all gradients before clipping.</summary>
    public required double GradNorm { get; init; }

    /// <summary>The learning rate of the step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Training tokens per second of this step.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Per MoE layer, the share of selections that went to each expert; each row sums to 1.</summary>
    public required double[][] ExpertLoad { get; init; }

    /// <summary>The mean entropy of the routers' softmax, in nats.</summary>
    public required double RouterEntropy { get; init; }

    /// <summary>Per MoE layer, how it routed the step's tokens.</summary>
    public IReadOnlyList<LayerRouting> Routing { get; init; } = [];

    /// <summary>Bits per byte on held-out text, on the steps where it was measured.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? HeldOutBitsPerByte { get; init; }
}

/// <summary>How one MoE layer routed the tokens of one step.</summary>
/// <param name="Entropy">The mean entropy of the router's softmax, in nats.</param>
/// <param name="MaxOverMean">The largest load of an expert over the mean; 1 when even.</param>
/// <param name="Variation">The standard deviation of the loads over their mean; 0 when even.</param>
/// <param name="DeadExperts">The experts that no token chose.</param>
/// <param name="DroppedShare">The share of selections that were dropped by a capacity.</param>
/// <param name="MeanTopWeight">The mean over tokens of their largest weight.</param>
public sealed record LayerRouting(double Entropy, double MaxOverMean, double Variation, int DeadExperts, double DroppedShare, double MeanTopWeight)
{
    internal static LayerRouting Of(RoutingLoad load) => new(load.Entropy, load.MaxOverMean, load.Variation, load.DeadExperts, load.DroppedShare, load.MeanTopWeight);
}

/// <summary>A checkpoint for resuming was written.</summary>
/// <param name="Step">The step it holds.</param>
/// <param name="Folder">Where it is.</param>
public sealed record CheckpointWritten(int Step, string Folder) : TrainingEvent;

/// <summary>Something a user should know, in one line.</summary>
/// <param name="Text">The message.</param>
public sealed record TrainingNotice(string Text) : TrainingEvent;
