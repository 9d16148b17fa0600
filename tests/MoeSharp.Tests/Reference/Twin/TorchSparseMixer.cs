using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>SparseMixer in TorchSharp operations.</summary>
internal static class TorchSparseMixer
{
    public static Tensor Experts(Selection.SparseMixer mixer, Tensor logits, int seed, RoutingCall call, bool isTraining)
    {
        var first = Choose(Near(mixer, logits, logits), 0);
        var second = Choose(Near(mixer, logits, Without(logits, first)), 1);
        return cat([first, second], -1);

        Tensor Choose(Tensor near, int round) =>
            (isTraining ? near - Exponentials(near, seed, call, round).log() : near).argmax(-1, keepdim: true);
    }

    /// <summary>The weights [T, 2]; in training, the gradient is that of the weight before its factor.</summary>
    public static Tensor Weights(Selection.SparseMixer mixer, Tensor logits, Tensor experts, RoutingCall call, bool isTraining)
    {
        Tensor Round(int round)
        {
            var expert = experts.narrow(-1, round, 1);
            var near = Near(mixer, logits, round == 0 ? logits : Without(logits, experts.narrow(-1, 0, 1)));
            var weight = near.softmax(-1).gather(-1, expert);
            if (!isTraining) return weight;

            var isWhole = expert.eq(near.argmax(-1, keepdim: true)).logical_or(Uniforms(logits, call, round).gt(0.75));
            return (weight * (isWhole.to(float32) * 0.6667f + 0.3333f)).detach() + (weight - weight.detach());
        }

        return cat([Round(0), Round(1)], -1);
    }

    private static Tensor Without(Tensor logits, Tensor expert) => logits.scatter(-1, expert, full_like(expert, double.NegativeInfinity, float32));

    // the mask compares the plain logits with the best one that is left
    private static Tensor Near(Selection.SparseMixer mixer, Tensor logits, Tensor current)
    {
        var top = current.detach().amax([-1L], keepdim: true);
        var isFar = ((top - logits.detach()) / maximum(logits.detach().abs(), top)).gt(2 * mixer.Jitter);
        return current.masked_fill(isFar, double.NegativeInfinity);
    }

    private static Tensor Exponentials(Tensor like, int seed, RoutingCall call, int round)
    {
        if (call.Draws is { } draws) return tensor(draws.Exponentials[round]).view_as(like);

        var random = new CounterRandom(seed, call.Step ?? 0, round);
        var (T, E) = (like.size(0), like.size(1));
        return tensor(Enumerable.Range(0, (int)(T * E)).Select(i => random.Exponential(i / E * (E + 1) + i % E)).ToArray()).view(T, E);
    }

    private static Tensor Uniforms(Tensor like, RoutingCall call, int round) =>
        tensor(call.Draws?.Uniforms[round] ?? throw new NotSupportedException("The twin takes SparseMixer's draws from its call.")).view(like.size(0), 1);
}
