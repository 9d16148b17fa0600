using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>What the attention of one layer must know besides its input: positions, who may see whom, and the past.</summary>
/// <param name="Angles">The rotary turns of the current positions: cosines and sines [S, size].</param>
/// <param name="Mask">What may be attended to, a boolean that broadcasts to [B, heads, S, past + S]; null where the causal rule alone decides.</param>
/// <param name="IsCausal">Whether a position sees only itself and those before it; false for a single new position, which sees everything.</param>
/// <param name="Past">The layer's keys and values so far; null when there is no cache.</param>
internal sealed record AttentionContext((Tensor Cos, Tensor Sin) Angles, Tensor? Mask, bool IsCausal, KeyValueCache.Layer? Past)
{
    /// <summary>Adds the current keys and values to the past and returns both together.</summary>
    public (Tensor Key, Tensor Value) Remember(Tensor key, Tensor value) => Past?.Append(key, value) ?? (key, value);
}
