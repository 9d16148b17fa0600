using CsCheck;
using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>The public functions of grouping by expert, as laws.</summary>
public sealed class PermutationTests
{
    private static readonly Gen<(int Tokens, int Experts, int K, int Size, int Seed)> Cases =
        Gen.Select(Gen.Int[0, 200], Gen.Int[1, 20], Gen.Int[1, 6], Gen.Int[1, 40], Gen.Int[0, 1_000_000]);

    [Fact]
    public void SortByExpert_AnyExperts_SortsStablyAndCounts() => Cases.ForEach(150, sample =>
    {
        using var scope = NewDisposeScope();
        var experts = Experts(sample);
        double[] ids = TensorAssert.Values(experts);

        var (order, counts) = Permutation.SortByExpert(experts, sample.Experts);

        Assert.Equal(Enumerable.Range(0, ids.Length).Where(pair => ids[pair] >= 0).OrderBy(pair => ids[pair]).Select(pair => (double)pair), TensorAssert.Values(order));
        Assert.Equal(Enumerable.Range(0, sample.Experts).Select(expert => (long)ids.Count(id => id == expert)), counts);
    });

    [Fact]
    public void Unpermute_OfPermute_IsTheTokenTimesItsWeights() => Cases.ForEach(150, sample =>
    {
        using var scope = NewDisposeScope();
        var random = new Random(sample.Seed + 1);
        var (experts, tokens, weights) = (Experts(sample), AnyLayer.Draw(random, sample.Tokens, sample.Size), AnyLayer.Draw(random, sample.Tokens, sample.K));
        var (order, _) = Permutation.SortByExpert(experts, sample.Experts);

        var back = Permutation.Unpermute(Permutation.Permute(tokens, order, sample.K), order, weights);

        var share = (weights * experts.ge(0).to(float32)).sum(-1, keepdim: true);
        TensorAssert.Close(tokens * share, back, 1e-6, "tokens", scale: 1);
    });

    [Fact]
    public void PermuteAndUnpermute_AnyUpstream_HaveTheGradientsOfTheirSums() => Cases.Where(sample => sample.Tokens > 0).ForEach(60, sample =>
    {
        using var scope = NewDisposeScope();
        var random = new Random(sample.Seed + 1);
        var (tokens, weights) = (AnyLayer.Draw(random, sample.Tokens, sample.Size).requires_grad_(), AnyLayer.Draw(random, sample.Tokens, sample.K).requires_grad_());
        var (plainTokens, plainWeights) = (tokens.detach().clone().requires_grad_(), weights.detach().clone().requires_grad_());
        var (order, _) = Permutation.SortByExpert(Experts(sample), sample.Experts);
        var upstream = AnyLayer.Draw(random, sample.Tokens, sample.Size);

        var rows = Permutation.Permute(tokens, order, sample.K);
        var sums = Permutation.Unpermute(rows.square(), order, weights);
        GuardedBackward.Run((sums * upstream).sum());

        var token = order.floor_divide(sample.K);
        var weighted = plainTokens.index_select(0, token).square() * plainWeights.flatten().index_select(0, order).unsqueeze(-1);
        var expected = zeros(sample.Tokens, sample.Size).index_add(0, token, weighted, 1);
        GuardedBackward.Run((expected * upstream).sum());
        TensorAssert.Close(expected, sums, 1e-5, "sums", scale: 0.5);
        TensorAssert.Close(plainTokens.grad!, tokens.grad!, 1e-5, "gradient of the tokens", scale: 0.5);
        TensorAssert.Close(plainWeights.grad!, weights.grad!, 1e-5, "gradient of the weights", scale: 0.5);
    });

    [Fact]
    public void Unpermute_Bfloat16Rows_AddsInFloat32()
    {
        using var scope = NewDisposeScope();
        var (order, _) = Permutation.SortByExpert(arange(300).view(1, 300), 300);

        var sums = Permutation.Unpermute(ones(300, 1, bfloat16), order, ones(1, 300));

        Assert.Equal(ScalarType.BFloat16, sums.dtype);
        Assert.Equal([300], TensorAssert.Values(sums));       // in bfloat16 the sum would stop at 256
    }

    [Fact]
    public void Functions_WrongTensors_SayWhatFits()
    {
        using var scope = NewDisposeScope();
        var order = tensor(new long[] { 0, 1 });

        Assert.StartsWith("There is an expert 4; expected 0..3", Assert.Throws<ArgumentException>(() => Permutation.SortByExpert(tensor(new long[,] { { 1, 4 } }), 4)).Message, StringComparison.Ordinal);
        Assert.StartsWith("The experts are Float32", Assert.Throws<ArgumentException>(() => Permutation.SortByExpert(ones(2, 2), 4)).Message, StringComparison.Ordinal);
        Assert.StartsWith("The tokens are [3]", Assert.Throws<ArgumentException>(() => Permutation.Permute(ones(3), order, 1)).Message, StringComparison.Ordinal);
        Assert.StartsWith("The rows are [3, 2]; expected [2, D]", Assert.Throws<ArgumentException>(() => Permutation.Unpermute(ones(3, 2), order, ones(1, 2))).Message, StringComparison.Ordinal);
        Assert.StartsWith("The order has pair 1; the weights have pairs 0..0", Assert.Throws<ArgumentException>(() => Permutation.Unpermute(ones(2, 2), order, ones(1, 1))).Message, StringComparison.Ordinal);
        Assert.StartsWith("The order has pair 0 twice", Assert.Throws<ArgumentException>(() => Permutation.Unpermute(ones(2, 2), zeros(2, int64), ones(1, 1))).Message, StringComparison.Ordinal);
    }

    // some slots are free
    private static Tensor Experts((int Tokens, int Experts, int K, int Size, int Seed) sample)
    {
        var random = new Random(sample.Seed);
        return tensor(Enumerable.Range(0, sample.Tokens * sample.K).Select(_ => (long)random.Next(-1, sample.Experts)).ToArray(), sample.Tokens, sample.K);
    }
}
