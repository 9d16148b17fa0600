using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// The pipeline of <see cref="RouterOptions"/>: each token takes the K experts of highest choice. Every step that an option decides
/// is a function picked in the constructor, so that <see cref="forward"/> is one straight line.
/// </summary>
internal sealed class TopKRouter : Router
{
    private readonly RouterOptions _options;
    private readonly Func<Tensor, Tensor> _score;
    private readonly Func<Tensor, Tensor> _correct;
    private readonly Func<Tensor, Tensor> _limitGroups;
    private readonly Func<Tensor, Tensor, Tensor, Tensor> _weigh;
    private readonly Func<Tensor, Tensor> _renormalize;
    private readonly Func<Tensor, Tensor> _scale;
    private readonly Func<Tensor, Tensor, Tensor> _scalePerExpert;

    public TopKRouter(RouterOptions options, Device? device)
        : base(nameof(TopKRouter))
    {
        _options = options;
        CorrectionBias = options.HasCorrectionBias ? zeros(options.ExpertCount, float32, device).DetachFromDisposeScope() : null;
        PerExpertScale = options.HasPerExpertScale ? Initial.Ones([options.ExpertCount], device) : null;

        _score = Scores.Function(options.Score);
        _correct = options.HasCorrectionBias ? scores => scores + CorrectionBias! : scores => scores;
        _limitGroups = options.GroupLimit is { } limit ? choice => GroupMask.Apply(choice, limit) : choice => choice;
        _weigh = options.Weights == WeightSource.SoftmaxOfSelected
            ? (logits, _, experts) => logits.gather(-1, experts).softmax(-1)
            : (_, scores, experts) => scores.gather(-1, experts);
        _renormalize = options.Renormalize == Renormalization.Always
            ? weights => weights / (weights.sum(-1, keepdim: true) + options.RenormalizeEpsilon)
            : weights => weights;
        _scale = options.Scale != 1 ? weights => weights * options.Scale : weights => weights;
        _scalePerExpert = options.HasPerExpertScale
            ? (weights, experts) => weights * PerExpertScale!.to(float32).index_select(0, experts.flatten()).view_as(experts)
            : (weights, _) => weights;
        RegisterComponents();
    }

    [field: ComponentName(Name = "correction_bias")]
    public override Tensor? CorrectionBias { get; }

    [field: ComponentName(Name = "per_expert_scale")]
    public override Parameter? PerExpertScale { get; }

    /// <summary>The plan for tokens with these float32 logits [T, E]; the first two steps, the logits themselves, are the gate's.</summary>
    public override RoutingPlan forward(Tensor logits)
    {
        using var scope = NewDisposeScope();

        var scores = _score(logits);                                    // [T, E]
        var choice = _limitGroups(_correct(scores.detach()));           // [T, E], decides and carries no gradient
        var experts = TopExperts.Select(choice, _options.TopK);         // [T, K]
        var weights = _weigh(logits, scores, experts);                  // [T, K]
        weights = _scale(_renormalize(weights));
        weights = _scalePerExpert(weights, experts);

        NotANumber.ThrowIfRouted(logits, choice, experts, weights);
        return RoutingPlan.Create(experts, weights, _options.ExpertCount).MoveToOuterDisposeScope();
    }
}
