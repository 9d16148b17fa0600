using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Runs tokens through their experts and adds up the results. All implementations give the same outputs and gradients.</summary>
internal interface IExpertCompute
{
    /// <summary>The name in logs and messages.</summary>
    string Name { get; }

    /// <summary>Whether the values of an expert without rows are never used.</summary>
    bool SkipsIdleExperts { get; }

    /// <summary>The weighted sum of each token's experts, [T, D] in the type of <paramref name="tokens"/>.</summary>
    /// <param name="tokens">The tokens [T, D]; products are computed in their type or in float32, the sum over experts in float32.</param>
    /// <param name="plan">Who goes where.</param>
    /// <param name="experts">The parameters, cast to the type of the tokens where theirs is another.</param>
    Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts);

    /// <summary>The same, and added to it what the shared expert computes of every token.</summary>
    Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts, SharedExpert shared) => Compute(tokens, plan, experts) + shared.call(tokens);

    /// <summary>Frees what is kept between calls; the next call begins anew.</summary>
    void Release()
    {
    }
}
