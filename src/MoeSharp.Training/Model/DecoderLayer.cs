using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>One decoder layer: x + attention(norm(x)), then x + mlp(norm(x)), where the MLP is dense or a Mixture of Experts.</summary>
internal sealed class DecoderLayer : nn.Module
{
    private readonly RmsNorm _attentionNorm, _mlpNorm;
    private readonly Attention _attention;
    private readonly DenseMlp? _dense;
    private readonly RoutedMoE? _moe;
    private readonly ScalarType _computeType;

    public DecoderLayer(DecoderOptions options, MlpOptions mlp, ScalarType computeType)
        : base(nameof(DecoderLayer))
    {
        _attentionNorm = new RmsNorm(options.HiddenSize, options.RmsNormEpsilon);
        _mlpNorm = new RmsNorm(options.HiddenSize, options.RmsNormEpsilon);
        _attention = new Attention(options.Attention, options.HiddenSize, options.RmsNormEpsilon);
        _dense = mlp is MlpOptions.Dense dense ? new DenseMlp(options.HiddenSize, dense.IntermediateSize) : null;
        _moe = mlp is MlpOptions.Sparse sparse ? new RoutedMoE(sparse.Moe) : null;
        _computeType = computeType;
        RegisterComponents();
    }

    public RmsNorm AttentionNorm => _attentionNorm;

    public RmsNorm MlpNorm => _mlpNorm;

    public Attention Attention => _attention;

    public DenseMlp? Dense => _dense;

    public RoutedMoE? Moe => _moe;

    /// <summary>Passes the residual stream [B, S, D] through the layer; the statistics are null for a dense layer.</summary>
    public (Tensor Hidden, RoutingStatistics? Routing) Forward(Tensor hidden, AttentionContext context, RoutingCall call)
    {
        using var scope = NewDisposeScope();

        var (attended, input) = Attend(hidden, context);
        var (output, routing) = Mlp(input, call);

        return ((attended + output).MoveToOuterDisposeScope(), routing?.MoveToOuterDisposeScope());
    }

    /// <summary>The first half: the residual stream after attention, and what the MLP reads of it.</summary>
    public (Tensor Attended, Tensor MlpInput) Attend(Tensor hidden, AttentionContext context)
    {
        using var scope = NewDisposeScope();

        var attended = hidden + _attention.call(_attentionNorm.call(hidden).to(_computeType), context);
        return (attended.MoveToOuterDisposeScope(), _mlpNorm.call(attended).to(_computeType).MoveToOuterDisposeScope());
    }

    private (Tensor Output, RoutingStatistics? Routing) Mlp(Tensor input, RoutingCall call)
    {
        if (_dense is not null) return (_dense.call(input), null);

        var (output, statistics) = _moe!.forward(input, call);     // a layer that is not dense has experts
        return (output, statistics);
    }
}
