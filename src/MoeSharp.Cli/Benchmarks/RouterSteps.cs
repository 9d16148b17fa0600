using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>The engines of <see cref="RouterBenchmark"/> on one set of logits.</summary>
internal sealed class RouterSteps : IDisposable
{
    private readonly TorchSharp.DisposeScope _scope = NewDisposeScope();
    private readonly RouterOptions _options;
    private readonly int _tokens;
    private readonly RoutingKernel _kernel;
    private readonly Router _router;
    private readonly float[] _values, _bias, _upstream, _gradient, _kept;
    private readonly Tensor _logits, _biasTensor, _upstreamTensor, _tracked, _trackedWeights;
    private readonly RoutingPlan _plan;

    public RouterSteps(RouterShape shape, int tokens)
    {
        (_options, _tokens) = (shape.ToOptions(), tokens);
        var layer = new MoeOptions { HiddenSize = 1, Experts = new() { IntermediateSize = 1 }, Router = _options };
        (_kernel, _router) = (new RoutingKernel(layer), new Router(layer, null));

        var random = new Random(7);
        _values = Draw(random, tokens * shape.Experts, 2);
        _bias = Draw(random, shape.Experts, 0.05f);
        _upstream = Draw(random, tokens * shape.TopK, 1);
        _gradient = new float[_values.Length];
        (_logits, _biasTensor, _upstreamTensor) = (tensor(_values).view(tokens, shape.Experts), tensor(_bias), tensor(_upstream).view(tokens, shape.TopK));
        _router.CorrectionBias?.copy_(_biasTensor);

        _kept = new float[_kernel.KeptScores(Input)];
        _plan = _kernel.Route(Input, _kept);
        _tracked = _logits.detach().clone().requires_grad_();
        _trackedWeights = TorchWeights(_tracked).Weights;
    }

    private RoutingInput Input => new() { Logits = _values, Sequences = 1, SequenceLength = _tokens, CorrectionBias = _bias };

    /// <summary>The kernel, keeping nothing for a gradient, as <see cref="TorchForward"/>.</summary>
    public void KernelForward() => _kernel.Route(Input, []);

    public void KernelBackward() => _kernel.Backward(Input, _plan, _kept, new RoutingUpstream { Weights = _upstream }, new RoutingGradients { Logits = _gradient });

    /// <summary>The kernel as a layer without gradient calls it.</summary>
    public void LayerForward()
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        _router.Route(_logits.unsqueeze(0), RoutingCall.Plain, step: 0);
    }

    public void TorchForward()
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        var (experts, _) = TorchWeights(_logits);
        var rows = experts.flatten();
        _ = rows.sort(0, descending: false, stable: true).Indices;
        _ = rows.bincount(null, _options.ExpertCount).cumsum(0);
    }

    public void TorchBackward()
    {
        using var scope = NewDisposeScope();
        _ = autograd.grad([_trackedWeights], [_tracked], [_upstreamTensor], retain_graph: true);
    }

    public void Dispose()
    {
        _router.Dispose();
        _scope.Dispose();
    }

    // as one would write it: topk instead of a stable sort, so ties fall as they like
    private (Tensor Experts, Tensor Weights) TorchWeights(Tensor logits)
    {
        if (_options.GroupLimit is not { } limit)
        {
            var (top, ids) = logits.softmax(-1).topk(_options.TopK, -1);
            return (ids, top / top.sum(-1, keepdim: true));
        }

        var scores = logits.sigmoid();
        var choice = scores.detach() + _biasTensor;
        var grouped = choice.view(_tokens, limit.Groups, -1);
        var kept = grouped.topk(2, -1).values.sum(-1).topk(limit.Keep, -1).indexes;
        var isLost = ones(_tokens, limit.Groups, ScalarType.Bool).scatter(-1, kept, zeros_like(kept, ScalarType.Bool));
        var experts = grouped.masked_fill(isLost.unsqueeze(-1), double.NegativeInfinity).view_as(choice).topk(_options.TopK, -1).indexes;
        var weights = scores.gather(-1, experts);
        return (experts, weights / (weights.sum(-1, keepdim: true) + _options.RenormalizeEpsilon) * _options.Scale);
    }

    private static float[] Draw(Random random, int count, float range) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2 - 1) * range)];
}
