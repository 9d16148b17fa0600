namespace MoeSharp;

/// <summary>
/// A Mixture-of-Experts layer in full: how tokens choose experts, what an expert computes, and what every token computes beside them.
/// Immutable; change one with <c>with</c>. A model family is a set of these values, never a switch on its name.
/// </summary>
public sealed record MoeOptions
{
    /// <summary>The width D of the tokens that enter and leave the layer; at least 1.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>How tokens choose their experts, and with which weights.</summary>
    public required RouterOptions Router { get; init; }

    /// <summary>What each routed expert computes.</summary>
    public required ExpertOptions Experts { get; init; }

    /// <summary>The expert that every token passes through besides its chosen ones; null (the default) when there is none.</summary>
    public SharedExpertOptions? Shared { get; init; }

    /// <summary>Which of the selected pairs are computed; the default drops nothing.</summary>
    public DispatchOptions Dispatch { get; init; } = new();

    /// <summary>The load-balance losses of training; default none.</summary>
    public IReadOnlyList<LoadBalanceOptions> LoadBalance { get; init; } = [];

    /// <summary>The coefficient of the router z-loss, the mean over tokens of logsumexp(logits)² (ST-MoE, arXiv:2202.08906); 0 or more, default 0.</summary>
    public double ZLossCoefficient { get; init; }

    /// <summary>The loss-free balancing of the correction bias; null (the default) for none.</summary>
    public BalanceBiasOptions? BalanceBias { get; init; }

    /// <summary>What a token mask leaves padding out of; the default is everything.</summary>
    public MaskScope MaskScope { get; init; }

    /// <summary>Which implementation computes the experts; <see cref="ExpertBackend.Auto"/> takes the fastest that fits.</summary>
    public ExpertBackend Backend { get; init; }

    /// <summary>
    /// Whether calls without gradient keep the experts' weights in the order of the kernels (<see cref="ExpertBackend.Fused"/>): from the second
    /// call with the same weights on, each expert's are packed when it is first chosen, and take as many bytes again (twice as many for
    /// bfloat16 parameters under tokens of float32). They are freed by the next call with gradient and with the layer. A change of the
    /// parameters through libtorch is seen, and so is one of most values through their memory; after writing a few values to
    /// the memory of a parameter yourself, set this to false or make a call with gradient. Parameters made in inference mode, whose changes
    /// libtorch does not count, are packed anew in every call. Default true: inference is 1.5 to 2 times as fast.
    /// </summary>
    public bool KeepsPackedWeights { get; init; } = true;

    /// <summary>
    /// What the backward pass computes again; default the activation. For the fused kernels (<see cref="ExpertBackend.Fused"/>, and
    /// <see cref="ExpertBackend.Auto"/> where it takes them); ignored by the other backends, where autograd keeps what each operation needs.
    /// </summary>
    public Recompute Recompute { get; init; } = Recompute.Activation;

    /// <summary>Checks every value and every rule between values.</summary>
    /// <exception cref="ArgumentException">One message that lists all faults.</exception>
    public void Validate()
    {
        var faults = new OptionFaults(nameof(MoeOptions));
        CollectFaults(faults);
        faults.ThrowIfAny();
    }

    internal void CollectFaults(OptionFaults faults)
    {
        faults.When(HiddenSize < 1, $"HiddenSize is {HiddenSize}; set it to 1 or more.");
        faults.WhenUndefined(Backend, "Backend");
        faults.WhenUndefined(Recompute, "Recompute");
        faults.WhenUndefined(MaskScope, "MaskScope");
        faults.When(!(ZLossCoefficient >= 0 && double.IsFinite(ZLossCoefficient)), $"ZLossCoefficient is {ZLossCoefficient}; set it to 0 or more.");
        Router.CollectFaults(faults);
        Experts.CollectFaults(faults);
        Shared?.CollectFaults(faults);
        Dispatch.CollectFaults(faults, Router);
        foreach (var loss in LoadBalance) loss.CollectFaults(faults, Router);
        BalanceBias?.CollectFaults(faults, Router);
    }
}
