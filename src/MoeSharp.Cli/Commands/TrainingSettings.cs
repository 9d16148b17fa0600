using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>Every hyper-parameter of training as an option: a property more in <see cref="TrainingOptions"/> or <see cref="ModelShape"/> is a line more here.</summary>
internal static class TrainingSettings
{
    /// <summary>Fresh options, in the order of help; defaults shown are those of the preset 'default'.</summary>
    public static IReadOnlyList<TrainingSetting> Create() => [.. Length(), .. Model(), .. Optimizer(), .. Routing(), .. Balance(), .. Data(), .. Checks()];

    private static TrainingSettingGroup Group(string title) => new(title, TrainingPresets.Default);

    private static IEnumerable<TrainingSetting> Length()
    {
        var group = Group("Length and reproducibility");
        yield return group.Int("--steps", "optimiser steps", o => o.Steps, (o, v) => o with { Steps = v });
        yield return group.Int("--batch-size", "sequences per micro-batch", o => o.BatchSize, (o, v) => o with { BatchSize = v });
        yield return group.Int("--sequence-length", "tokens per sequence", o => o.SequenceLength, (o, v) => o with { SequenceLength = v });
        yield return group.Int("--accumulation", "micro-batches per optimiser step", o => o.Accumulation, (o, v) => o with { Accumulation = v });
        yield return group.Choice("--precision", "type that matrix products compute in; weights stay float32", o => o.Precision, (o, v) => o with { Precision = v });
        yield return group.Choice("--backend", "what computes the experts; results differ by rounding only", o => o.Backend, (o, v) => o with { Backend = v });
        yield return group.Choice("--recompute", "what the experts' backward pass computes again to save memory; same results", o => o.Recompute, (o, v) => o with { Recompute = v });
        yield return group.Int("--seed", "decides the initial weights and the order of the data", o => o.Seed, (o, v) => o with { Seed = v });
    }

    private static IEnumerable<TrainingSetting> Model()
    {
        var group = Group("Model");
        yield return group.Int("--hidden-size", "width of the residual stream", o => o.Model.HiddenSize, (o, v) => With(o, o.Model with { HiddenSize = v }));
        yield return group.Int("--layers", "decoder layers", o => o.Model.LayerCount, (o, v) => With(o, o.Model with { LayerCount = v }));
        yield return group.Int("--heads", "query heads", o => o.Model.HeadCount, (o, v) => With(o, o.Model with { HeadCount = v }));
        yield return group.Int("--key-value-heads", "key and value heads; divides --heads", o => o.Model.KeyValueHeadCount, (o, v) => With(o, o.Model with { KeyValueHeadCount = v }));
        yield return group.Int("--head-size", "width of one attention head; even", o => o.Model.HeadSize, (o, v) => With(o, o.Model with { HeadSize = v }));
        yield return group.Int("--experts", "experts of an MoE layer", o => o.Model.ExpertCount, (o, v) => With(o, o.Model with { ExpertCount = v }));
        yield return group.Int("--top-k", "experts per token", o => o.Model.TopK, (o, v) => With(o, o.Model with { TopK = v }));
        yield return group.Int("--expert-size", "width of one expert", o => o.Model.ExpertSize, (o, v) => With(o, o.Model with { ExpertSize = v }));
        yield return group.Switch("--normalize-top-k", "make the weights of the chosen experts sum to one", o => o.Model.NormalizeTopK, (o, v) => With(o, o.Model with { NormalizeTopK = v }));
        yield return group.Int("--decoder-sparse-step", "every N-th layer is an MoE layer, the others are dense", o => o.Model.DecoderSparseStep, (o, v) => With(o, o.Model with { DecoderSparseStep = v }));
        yield return group.Ints("--mlp-only-layers", "layers, counted from 0, that are dense all the same", o => o.Model.MlpOnlyLayers, (o, v) => With(o, o.Model with { MlpOnlyLayers = v }));
        yield return group.Int("--dense-size", "width of the MLP of dense layers; needed where there are any", o => o.Model.DenseSize, (o, v) => With(o, o.Model with { DenseSize = v }));
        yield return group.Switch("--tie-embeddings", "the output head shares the token embedding", o => o.Model.TieEmbeddings, (o, v) => With(o, o.Model with { TieEmbeddings = v }));
        yield return group.Real("--rope-theta", "base of the rotary frequencies", o => o.Model.RopeTheta, (o, v) => With(o, o.Model with { RopeTheta = v }));
        yield return group.Real("--initializer-range", "standard deviation of fresh matrices", o => o.Model.InitializerRange, (o, v) => With(o, o.Model with { InitializerRange = v }));
    }

    private static IEnumerable<TrainingSetting> Optimizer()
    {
        var group = Group("Optimiser (AdamW, warm-up and cosine)");
        yield return group.Real("--learning-rate", "largest learning rate", o => o.LearningRate, (o, v) => o with { LearningRate = v });
        yield return group.Int("--warmup-steps", "steps of linear warm-up", o => o.WarmupSteps, (o, v) => o with { WarmupSteps = v });
        yield return group.Real("--minimum-learning-rate-factor", "share of --learning-rate that the cosine ends at", o => o.MinimumLearningRateFactor, (o, v) => o with { MinimumLearningRateFactor = v });
        yield return group.Real("--weight-decay", "decoupled decay of matrices", o => o.WeightDecay, (o, v) => o with { WeightDecay = v });
        yield return group.Real("--clip-norm", "scale the gradients down to at most this 2-norm; 0 does not", o => o.ClipNorm, (o, v) => o with { ClipNorm = v });
        yield return group.Real("--beta1", "decay of the first moment", o => o.Beta1, (o, v) => o with { Beta1 = v });
        yield return group.Real("--beta2", "decay of the second moment", o => o.Beta2, (o, v) => o with { Beta2 = v });
        yield return group.Real("--epsilon", "added to the root of the second moment", o => o.Epsilon, (o, v) => o with { Epsilon = v });
        yield return group.Choice("--moments", "type that both moments are kept in; bfloat16 halves their memory", o => o.Moments, (o, v) => o with { Moments = v });
        yield return group.Switch("--defer-idle-experts", "experts without a token take their steps when they next get one: same bits, less memory traffic", o => o.DeferIdleExperts, (o, v) => o with { DeferIdleExperts = v });
    }

    private static IEnumerable<TrainingSetting> Routing()
    {
        var group = Group("Routing");
        yield return group.Choice("--router", "how experts are selected", o => o.Router.Select, (o, v) => With(o, o.Router with { Select = v }));
        yield return group.Choice("--router-score", "function from logits to scores", o => o.Router.Score, (o, v) => With(o, o.Router with { Score = v }));
        yield return group.Int("--router-groups", "groups of experts of which a token keeps --router-keep-groups; 0 for none", o => o.Router.Groups, (o, v) => With(o, o.Router with { Groups = v }));
        yield return group.Int("--router-keep-groups", "groups that a token keeps", o => o.Router.KeepGroups, (o, v) => With(o, o.Router with { KeepGroups = v }));
        yield return group.Real("--capacity-factor", "slots of an expert over an even load, what does not fit is dropped; 0 drops nothing", o => o.Router.CapacityFactor, (o, v) => With(o, o.Router with { CapacityFactor = v }));
        yield return group.Choice("--capacity-scope", "tokens that share a capacity", o => o.Router.CapacityScope, (o, v) => With(o, o.Router with { CapacityScope = v }));
        yield return group.Choice("--capacity-order", "order in which tokens take slots", o => o.Router.CapacityOrder, (o, v) => With(o, o.Router with { CapacityOrder = v }));
        yield return group.Choice("--drop", "what an overfull expert drops: the later, or those of lower weight", o => o.Router.Drop, (o, v) => With(o, o.Router with { Drop = v }));
        yield return group.Real("--input-jitter", "in training, multiply what routers read by draws from 1 - X to 1 + X", o => o.Router.InputJitter, (o, v) => With(o, o.Router with { InputJitter = v }));
        yield return group.Real("--logit-jitter", "in training, multiply router logits by draws from 1 - X to 1 + X", o => o.Router.LogitJitter, (o, v) => With(o, o.Router with { LogitJitter = v }));
    }

    private static IEnumerable<TrainingSetting> Balance()
    {
        var group = Group("Balance of experts");
        yield return group.Choice("--balance", "how the load is kept even: by a loss, by a bias on the selection, or not", o => o.Balance, (o, v) => o with { Balance = v });
        yield return group.Real("--load-balance-coefficient", "weight of the load-balance loss, with --balance loss", o => o.LoadBalanceCoefficient, (o, v) => o with { LoadBalanceCoefficient = v });
        yield return group.Choice("--balance-scope", "tokens that the load-balance loss is taken over; global: a whole step", o => o.Router.BalanceScope, (o, v) => With(o, o.Router with { BalanceScope = v }));
        yield return group.Choice("--balance-scores", "scores that the load-balance loss averages", o => o.Router.BalanceScores, (o, v) => With(o, o.Router with { BalanceScores = v }));
        yield return group.Choice("--bias-rule", "how the bias follows the load, with --balance bias", o => o.Router.BiasRule, (o, v) => With(o, o.Router with { BiasRule = v }));
        yield return group.Real("--bias-update-rate", "step of the bias per optimiser step, with --balance bias", o => o.BiasUpdateRate, (o, v) => o with { BiasUpdateRate = v });
        yield return group.Real("--z-loss-coefficient", "weight of the router z-loss", o => o.ZLossCoefficient, (o, v) => o with { ZLossCoefficient = v });
    }

    private static IEnumerable<TrainingSetting> Data()
    {
        var group = Group("Vocabulary and held-out text");
        yield return group.Int("--vocabulary-size", "tokens of the vocabulary that is trained on the text; ignored with --tokenizer", o => o.VocabularySize, (o, v) => o with { VocabularySize = v });
        yield return group.Real("--held-out-share", "share of the documents that is never trained on", o => o.HeldOutShare, (o, v) => o with { HeldOutShare = v });
    }

    private static IEnumerable<TrainingSetting> Checks()
    {
        var group = Group("Measurements and checkpoints");
        yield return group.Int("--evaluate-every", "steps between measurements on held-out text; 0 measures at the end only", o => o.EvaluateEvery, (o, v) => o with { EvaluateEvery = v });
        yield return group.Int("--evaluate-tokens", "held-out tokens per measurement; the one at the end takes all", o => o.EvaluateTokens, (o, v) => o with { EvaluateTokens = v });
        yield return group.Int("--checkpoint-every", "steps between checkpoints; 0 writes one only at the end and when stopped", o => o.CheckpointEvery, (o, v) => o with { CheckpointEvery = v });
        yield return group.Int("--keep-checkpoints", "latest checkpoints that are kept, besides the best", o => o.KeepCheckpoints, (o, v) => o with { KeepCheckpoints = v });
    }

    private static TrainingOptions With(TrainingOptions options, ModelShape model) => options with { Model = model };

    private static TrainingOptions With(TrainingOptions options, RoutingShape router) => options with { Router = router };
}
