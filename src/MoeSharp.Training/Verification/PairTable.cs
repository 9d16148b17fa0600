using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// The experts of tokens as tables [T, E], so that slots have no order: how often each token names an expert, and the sum of the weights
/// that it names it with.
/// </summary>
internal sealed class PairTable(long tokens, int experts)
{
    private readonly int[] _counts = new int[tokens * experts];
    private readonly double[] _weights = new double[tokens * experts];

    /// <summary>The tables of ids [.., K] (-1 for no expert) and of weights [.., K], if there are any.</summary>
    /// <exception cref="ArgumentException">An id is no expert.</exception>
    public static PairTable Of(Tensor ids, Tensor? weights, int experts)
    {
        long width = ids.size(-1);
        long[] named = TensorMemory.Values<long>(ids);
        float[]? values = weights is null ? null : TensorMemory.Values<float>(weights);
        var table = new PairTable(width == 0 ? ids.shape[..^1].Aggregate(1L, (a, b) => a * b) : named.Length / width, experts);
        for (long i = 0; i < named.Length; i++)
        {
            if (named[i] < -1 || named[i] >= experts) throw new ArgumentException($"Token {i / width} has expert {named[i]} in 'output.expert_ids'; expected 0..{experts - 1}, or -1 for none.");
            if (named[i] < 0) continue;

            long place = i / width * experts + named[i];
            table._counts[place]++;
            table._weights[place] += values?[i] ?? 0;
        }

        return table;
    }

    /// <summary>The pairs in which two tables differ, over the tokens that <paramref name="counts"/> accepts.</summary>
    public long Differing(PairTable other, Func<long, bool> counts) => _counts.Zip(other._counts).Index().Count(pair => pair.Item.First != pair.Item.Second && counts(pair.Index / experts));

    /// <summary>The weights [T, E].</summary>
    public Tensor Weights() => tensor(_weights).view(-1, experts);
}
