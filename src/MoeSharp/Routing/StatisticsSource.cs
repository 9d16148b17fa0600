using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The sums behind <see cref="RoutingStatistics"/>: there already, with gradient, or made from the logits when first asked for.</summary>
internal sealed class StatisticsSource
{
    private readonly Lazy<RoutingSums> _sums;
    private readonly Device _device = CPU;
    private readonly IReadOnlyList<Tensor> _kept;
    private readonly Tensor? _scores, _z;

    /// <summary>Sums that are there, their tensors with gradient.</summary>
    public StatisticsSource(Func<RoutingSums> sums, Tensor scores, Tensor z)
    {
        (_sums, _scores, _z, _kept) = (new(sums), scores, z, [scores, z]);
    }

    /// <summary>Sums that are made on demand from tensors that stay alive with the statistics.</summary>
    public StatisticsSource(Func<RoutingSums> sums, Device device, IReadOnlyList<Tensor> kept)
    {
        (_sums, _device, _kept) = (new(sums), device, kept);
    }

    public RoutingSums Sums => _sums.Value;

    /// <summary>The score sums [kinds, G, E].</summary>
    public Tensor Scores => _scores ?? RouteFunction.Scores(Sums, _device);

    /// <summary>Σ logsumexp(logits)².</summary>
    public Tensor Z => _z ?? tensor((float)Sums.Z, device: _device);

    public void MoveToOuterDisposeScope()
    {
        foreach (var tensor in _kept) tensor.MoveToOuterDisposeScope();
    }
}
