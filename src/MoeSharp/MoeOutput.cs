using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>What a layer returns; all tensors belong to the caller's dispose scope.</summary>
/// <param name="Hidden">The new hidden states, in the shape and type of the input.</param>
/// <param name="Statistics">How the tokens were routed, and the losses of it.</param>
public sealed record MoeOutput(Tensor Hidden, RoutingStatistics Statistics);
