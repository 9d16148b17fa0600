using System.Diagnostics;
using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>Tokens and routing for one comparison, and the engines that run them.</summary>
internal sealed class LayerCase : IDisposable
{
    // with so few tokens only some experts are read: those of one routing may stay in the caches until the next call, those of four hardly
    private const int FewTokens = 16, RoutingsOfFewTokens = 4;

    // the forward pass, and as much again for the gradient of the rows and for that of the weights
    private const double PassesOfTraining = 3;

    private readonly TorchSharp.DisposeScope _scope = NewDisposeScope();
    private readonly MeasuredLayer _layer;
    private readonly IExpertCompute[] _engines;
    private readonly RoutingTensors[] _plans;
    private readonly Tensor _tokens, _upstream;

    public LayerCase(MeasuredLayer layer, int tokens, RoutingSuite suite, LayerPass pass, IReadOnlyList<LayerEngine> engines)
    {
        (_layer, Tokens, Suite, Pass, Engines) = (layer, tokens, suite, pass, [.. engines.Where(engine => engine.Passes.Contains(pass) && engine.Types.Contains(layer.Type))]);
        _engines = [.. Engines.Select(layer.Compute)];
        int routings = tokens <= FewTokens && pass == LayerPass.Forward ? RoutingsOfFewTokens : 1;
        _plans = [.. Enumerable.Range(0, routings).Select(seed => ForcedRouting.Create(layer.Shape, tokens, suite, seed, IsTraining))];

        using var generator = new Generator(11);
        _tokens = randn([tokens, layer.Shape.HiddenSize], generator: generator).to(layer.ScalarType).requires_grad_(IsTraining);
        _upstream = randn([tokens, layer.Shape.HiddenSize], generator: generator).to(layer.ScalarType);
    }

    public int Tokens { get; }

    public RoutingSuite Suite { get; }

    public LayerPass Pass { get; }

    public IReadOnlyList<LayerEngine> Engines { get; }

    public LayerShape Shape => _layer.Shape;

    public ProductType Type => _layer.Type;

    /// <summary>What was measured, a round each.</summary>
    public List<LayerRound> Rounds { get; } = [];

    /// <summary>Those that count: the first, in which memory is touched for the first time, only when there is no other.</summary>
    public IReadOnlyList<LayerRound> Counted => Rounds.Count > 1 ? Rounds[1..] : Rounds;

    /// <summary>Multiplications and additions of a call.</summary>
    public double Flops => PassFactor * Shape.FlopsPerRow * Tokens * Shape.TopK;

    /// <summary>Bytes of the active experts' weights as an engine holds them, in the mean of the routings: in training read twice, and their gradients written.</summary>
    public double Bytes(LayerEngine engine) => PassFactor * Shape.WeightsPerExpert * (engine.Quantization?.BytesPerWeight ?? _layer.ElementSize) * _plans.Average(plan => plan.Counts.Count(count => count > 0));

    /// <summary>Runs every routing once.</summary>
    /// <returns>The time of a call, in the mean.</returns>
    public TimeSpan RunOnce(int engine)
    {
        var time = TimeSpan.Zero;
        foreach (var plan in _plans)
        {
            long start = Stopwatch.GetTimestamp();
            if (IsTraining) Train(_engines[engine], plan);
            else Forward(_engines[engine], plan);
            time += Stopwatch.GetElapsedTime(start);
            if (IsTraining) ClearGradients(plan);
        }

        return time / _plans.Length;
    }

    /// <summary>The outputs of an engine for the first routing, as float32; they belong to the caller's dispose scope.</summary>
    public Tensor Output(int engine)
    {
        using var _ = no_grad();
        return _engines[engine].Compute(_tokens, _plans[0], _layer.Experts).to(float32);
    }

    public void Dispose() => _scope.Dispose();

    private bool IsTraining => Pass == LayerPass.Train;

    private double PassFactor => IsTraining ? PassesOfTraining : 1;

    private void Forward(IExpertCompute engine, RoutingTensors plan)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        engine.Compute(_tokens, plan, _layer.Experts);
    }

    private void Train(IExpertCompute engine, RoutingTensors plan)
    {
        using var scope = NewDisposeScope();
        GuardedBackward.Run((engine.Compute(_tokens, plan, _layer.Experts) * _upstream).sum());
    }

    private void ClearGradients(RoutingTensors plan)
    {
        _layer.Experts.zero_grad();
        (_tokens.grad, plan.Weights.grad) = (null, null);
    }
}

/// <summary>One round of a case.</summary>
/// <param name="Seconds">The time of each engine.</param>
/// <param name="Peak">Flops per second that the machine could do in this round; null where it does not multiply the type.</param>
/// <param name="Read">Bytes per second of a plain read in this round.</param>
/// <param name="Duration">How long all of the round took.</param>
internal sealed record LayerRound(double[] Seconds, double? Peak, double Read, TimeSpan Duration);
