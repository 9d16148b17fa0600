namespace MoeSharp;

/// <summary>
/// The router on spans: logits in, <see cref="RoutingPlan"/> out, and back. All options are decided in the constructor; calls share
/// nothing and may run in parallel.
/// </summary>
/// <remarks>
/// Float32 throughout. The experts and weights of a token have the same bits for any number of threads and whatever tokens share its
/// call (except selections that look at all tokens); sums over tokens run in a fixed order.
/// </remarks>
public sealed class RoutingKernel
{
    /// <summary>Prepares the routing of a layer.</summary>
    /// <param name="options">The layer; its router, dispatch, losses and mask scope are used.</param>
    /// <exception cref="ArgumentException">The options have faults; the message lists all of them.</exception>
    public RoutingKernel(MoeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        Options = options;
        SumsBySequence = options.LoadBalance.Any(loss => loss.Scope == BalanceScope.Sequence);
        Kinds = [.. options.LoadBalance.Select(ScoreKind.Of).Prepend(new(BalanceScores.Softmax, 0)).Distinct()];
        CountsTopK = [.. Kinds.Select(kind => options.LoadBalance.Any(loss => loss.Counts == BalanceCounts.TopKOfScores && ScoreKind.Of(loss) == kind))];
    }

    /// <summary>What the kernel was made from.</summary>
    public MoeOptions Options { get; }

    /// <summary>The scores that are summed for losses: the softmax of the logits first, then what the losses ask for besides.</summary>
    public IReadOnlyList<ScoreKind> Kinds { get; }

    /// <summary>
    /// How many scores <see cref="Route"/> can keep of a call, so that <see cref="Backward"/> is faster: those of all experts [T, E] where a
    /// softmax carries the gradient to every logit, those of the selected experts [T, K] where it does not, none where they would go unused.
    /// </summary>
    /// <param name="input">What is to be routed.</param>
    public int KeptScores(in RoutingInput input) =>
        KeptOf(input, input.Experts.IsEmpty ? input.Sequences * input.SequenceLength * Options.Router.TopK : input.Experts.Length);

    private int KeptOf(in RoutingInput input, int pairs)
    {
        var router = Options.Router;
        if (IsSoftmaxOfSelected || router.Weights == WeightSource.SoftmaxOfSelected || router.Select is Selection.SparseMixer) return 0;
        if (KeepsRows) return input.Logits.Length;
        return router.Select is Selection.ExpertChoice && input.Experts.IsEmpty ? 0 : pairs;      // experts may choose a token any number of times
    }

    /// <summary>Whether the scores of all experts are kept, not only those of the selected ones.</summary>
    internal bool KeepsRows => Options.Router.Score == ScoreFunction.Softmax;

    /// <summary>
    /// Whether weights are a softmax over the selected logits times a scale: as such, or as renormalised softmax scores, which are the
    /// same.
    /// </summary>
    internal bool IsSoftmaxOfSelected => Options.Router is { HasPerExpertScale: false, Scale: not 0, Select: not Selection.SparseMixer }
        and ({ Weights: WeightSource.SoftmaxOfSelected, Renormalize: Renormalization.Never }
            or { Weights: WeightSource.Score, Score: ScoreFunction.Softmax, Renormalize: Renormalization.Always, RenormalizeEpsilon: 0 });

    /// <summary>Whether a loss is taken per sequence, so that sums are too.</summary>
    internal bool SumsBySequence { get; }

    /// <summary>For each kind, whether a loss counts the plain top-k of its scores.</summary>
    internal IReadOnlyList<bool> CountsTopK { get; }

    /// <summary>Routes the tokens.</summary>
    /// <param name="input">The tokens' logits and what the options need besides.</param>
    /// <param name="scores">Receives the <see cref="KeptScores"/> for <see cref="Backward"/>; empty to keep none.</param>
    /// <exception cref="ArgumentException">A span that the options need is missing or has the wrong length; an id lies outside the table.</exception>
    /// <exception cref="MoeException">The routing of a token is not a number; the message names the token.</exception>
    public RoutingPlan Route(in RoutingInput input, Span<float> scores = default)
    {
        RoutingInputCheck.Check(input, Options);
        RoutingInputCheck.CheckSelection(input, Options);
        RoutingInputCheck.CheckScores(scores, KeptScores(input));
        unsafe
        {
            fixed (float* kept = scores) return RoutingPass.With(this, input, plan: null, static (pass, scores) => pass.Route(scores), new RoutingPass.ScorePointer(kept));
        }
    }

    /// <summary>What losses, balancing and statistics need of a call.</summary>
    /// <param name="input">What was routed.</param>
    /// <param name="plan">What <see cref="Route"/> made of it.</param>
    /// <exception cref="ArgumentException">The plan is of another input.</exception>
    public RoutingSums Sum(in RoutingInput input, RoutingPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        RoutingInputCheck.Check(input, Options);
        RoutingInputCheck.CheckPlan(plan, input, Options.Router);
        return RoutingPass.With(this, input, plan, static (pass, _) => pass.Sum(), 0);
    }

    /// <summary>The gradients of one call, from those of its weights and sums.</summary>
    /// <param name="input">What was routed.</param>
    /// <param name="plan">What <see cref="Route"/> made of it.</param>
    /// <param name="scores">The scores that <see cref="Route"/> kept; empty to compute them again where they are needed.</param>
    /// <param name="upstream">The gradients of the results.</param>
    /// <param name="gradients">Receives the gradients of the inputs; all are overwritten.</param>
    /// <exception cref="ArgumentException">A span has the wrong length, or the plan is of another input.</exception>
    public void Backward(in RoutingInput input, RoutingPlan plan, ReadOnlySpan<float> scores, in RoutingUpstream upstream, in RoutingGradients gradients)
    {
        ArgumentNullException.ThrowIfNull(plan);
        RoutingInputCheck.Check(input, Options);
        RoutingInputCheck.CheckPlan(plan, input, Options.Router);
        RoutingInputCheck.Check(upstream, gradients, plan, this, input);
        RoutingInputCheck.CheckScores(scores, KeptOf(input, plan.Experts.Length));
        unsafe
        {
            fixed (float* kept = scores, weights = upstream.Weights, sums = upstream.Scores, logits = gradients.Logits, scale = gradients.PerExpertScale, bias = gradients.CorrectionBias)
            {
                var pointers = new RoutingPass.GradientPointers(kept, weights, sums, upstream.Z, logits, scale, bias);
                RoutingPass.With(this, input, plan, static (pass, given) => pass.Backward(given), pointers);
            }
        }
    }

    /// <summary>One group per sequence where a loss is taken per sequence, else one for all tokens.</summary>
    internal (int Groups, int Length) Groups(int sequences, int length) => SumsBySequence ? (sequences, length) : (1, sequences * length);
}

/// <summary>The gradients of what <see cref="RoutingKernel.Route"/> returned; empty spans stand for zeros.</summary>
public readonly ref struct RoutingUpstream
{
    /// <summary>The gradient of <see cref="RoutingPlan.Weights"/>.</summary>
    public ReadOnlySpan<float> Weights { get; init; }

    /// <summary>The gradients of <see cref="RoutingSums.Scores"/>, kind by kind: [kinds, G, E].</summary>
    public ReadOnlySpan<float> Scores { get; init; }

    /// <summary>The gradient of <see cref="RoutingSums.Z"/>.</summary>
    public float Z { get; init; }
}

/// <summary>Where <see cref="RoutingKernel.Backward"/> writes; empty spans for what is not wanted.</summary>
public readonly ref struct RoutingGradients
{
    /// <summary>The gradient of the logits [T, E].</summary>
    public required Span<float> Logits { get; init; }

    /// <summary>The gradient of the per-expert scale [E].</summary>
    public Span<float> PerExpertScale { get; init; }

    /// <summary>The gradient of the correction bias [E]; only <see cref="BalanceScores.SoftmaxOfBiasedScore"/> sends one.</summary>
    public Span<float> CorrectionBias { get; init; }
}
