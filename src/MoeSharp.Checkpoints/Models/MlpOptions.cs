namespace MoeSharp.Checkpoints;

/// <summary>The MLP of one decoder layer: dense, or a Mixture of Experts.</summary>
public abstract record MlpOptions
{
    private MlpOptions()
    {
    }

    internal abstract void CollectFaults(OptionFaults faults, int hiddenSize);

    /// <summary>One gated MLP with SiLU for every token.</summary>
    /// <param name="IntermediateSize">The width of its hidden layer; at least 1.</param>
    public sealed record Dense(int IntermediateSize) : MlpOptions
    {
        internal override void CollectFaults(OptionFaults faults, int hiddenSize) =>
            faults.When(IntermediateSize < 1, $"A dense layer's IntermediateSize is {IntermediateSize}; set it to 1 or more.");
    }

    /// <summary>A Mixture of Experts.</summary>
    /// <param name="Moe">The layer in full; its hidden size is the model's.</param>
    public sealed record Sparse(MoeOptions Moe) : MlpOptions
    {
        internal override void CollectFaults(OptionFaults faults, int hiddenSize)
        {
            Moe.CollectFaults(faults);
            faults.When(Moe.HiddenSize != hiddenSize, $"A layer's MoE has HiddenSize {Moe.HiddenSize}, the model {hiddenSize}; make them equal.");
        }
    }
}
