namespace MoeSharp;

/// <summary>The one place where a backend of expert compute is chosen.</summary>
internal static class ExpertBackends
{
    /// <summary>
    /// The implementation that <paramref name="options"/> ask for; <see cref="ExpertBackend.Auto"/> takes the fused kernels and the loop for
    /// what they do not compute, or products of one shape where a capacity pads.
    /// </summary>
    public static IExpertCompute Create(MoeOptions options)
    {
        var activation = GatedActivation.Function(options.Experts.Activation, options.Experts.Limit);
        var loop = new LoopExperts(activation, options.Router.ApplyTo);
        return options.Backend switch
        {
            ExpertBackend.Auto when options.Dispatch.Capacity is { Pad: true } => new PaddedExperts(activation, options.Router.ApplyTo),
            ExpertBackend.Auto => new FusedExperts(options, loop),
            ExpertBackend.Fused => new FusedExperts(options, other: null),
            ExpertBackend.Grouped => new GroupedExperts(activation, options.Router.ApplyTo, loop),
            ExpertBackend.Loop => loop,
            ExpertBackend.Dense => new DenseExperts(activation, options.Router.ApplyTo),
            _ => throw new ArgumentOutOfRangeException(nameof(options), options.Backend, "No such backend."),
        };
    }
}
