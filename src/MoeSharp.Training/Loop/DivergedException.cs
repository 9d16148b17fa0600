using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>Training produced a number that is not finite.</summary>
public sealed class DivergedException : MoeException
{
    private DivergedException(string message)
        : base(message)
    {
    }

    internal DivergedException(string where, string advice, DivergedException inner)
        : base($"{where}: {inner.Message.TrimEnd('.')}. {advice}.", inner)
    {
    }

    /// <summary>Names the first tensor that is not finite, a weight or its gradient; <paramref name="seen"/> is what was noticed.</summary>
    internal static DivergedException Find(DecoderModel model, string seen)
    {
        using var scope = NewDisposeScope();
        foreach (var weight in PublishedWeights.Of(model))
        {
            if (!IsFinite(weight.Of(weight.Parameter))) return new($"the weight {weight.Name} is not finite");
        }

        foreach (var weight in PublishedWeights.Of(model))
        {
            if (weight.Parameter.grad is { } gradient && !IsFinite(weight.Of(gradient))) return new($"the gradient of {weight.Name} is not finite ({seen})");
        }

        return new(seen);
    }

    private static bool IsFinite(Tensor tensor) => tensor.isfinite().all().item<bool>();
}
