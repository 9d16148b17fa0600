using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>
/// Chooses experts and weights from logits. This is the one place where ways to route are told apart: a new selection, a capacity,
/// or a faster implementation is another router that <see cref="Create"/> returns.
/// </summary>
internal abstract class Router(string name) : Module<Tensor, RoutingPlan>(name)
{
    /// <summary>The router of <paramref name="options"/>, which are valid.</summary>
    public static Router Create(RouterOptions options, Device? device) => new TopKRouter(options, device);

    /// <summary>The correction bias [E] as a buffer, or null.</summary>
    public abstract Tensor? CorrectionBias { get; }

    /// <summary>The per-expert scale [E], or null.</summary>
    public abstract TorchSharp.Modules.Parameter? PerExpertScale { get; }
}
