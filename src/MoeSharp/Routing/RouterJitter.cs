using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Multiplies what the router reads, and its logits, by even draws around 1 in training (Fedus et al. 2021, arXiv:2101.03961).</summary>
internal sealed class RouterJitter(RouterOptions options)
{
    private const int InputStream = 3, LogitStream = 4;

    public Tensor OfInput(Tensor input, long step, bool isTraining) =>
        isTraining && options.InputJitter > 0 ? input * Draws(input, options.InputJitter, step, InputStream).to(input.dtype) : input;

    public Tensor OfLogits(Tensor logits, long step, bool isTraining) =>
        isTraining && options.LogitJitter > 0 ? logits * Draws(logits, options.LogitJitter, step, LogitStream) : logits;

    private Tensor Draws(Tensor like, double jitter, long step, int stream)
    {
        var draws = empty(like.shape, float32);
        var values = TensorValues.Of<float>(draws);
        var random = new CounterRandom(options.Seed, step, stream);
        for (int i = 0; i < values.Length; i++) values[i] = (float)(1 - jitter + 2 * jitter * random.Uniform(i));
        return draws.to(like.device);
    }
}
