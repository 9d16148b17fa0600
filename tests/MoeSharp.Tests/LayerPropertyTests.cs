using CsCheck;
using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>What holds for every layer that the options can describe.</summary>
public sealed class LayerPropertyTests
{
    // parameters and inputs are drawn from -1..1, and sums over few of their products cancel below this only by chance
    private const double TermScale = 0.1;

    [Fact]
    public void Forward_AnyOptions_EqualsTheNaiveReference() => AnyLayer.Cases.ForEach(300, sample =>
        {
            var (options, tokens, seed) = sample;
            using var scope = NewDisposeScope();
            using var layer = AnyLayer.Create(options, seed);
            var hidden = AnyLayer.Draw(new Random(seed + 1), tokens, options.HiddenSize);
            var reference = new NaiveMoe(options, AnyLayer.Values(layer));
            var expected = reference.Forward(TensorAssert.Values(hidden));
            if (reference.Margin < 1e-5) return; // too close for float32 to be expected to choose the same

            var output = layer.call(hidden);

            var plan = AnyLayer.Routed(layer).Plan(hidden);
            Assert.Equal(reference.Selected.SelectMany(ids => ids).Select(id => (double)id), TensorAssert.Values(plan.Experts));
            TensorAssert.Close([.. reference.Weights.SelectMany(w => w)], TensorAssert.Values(plan.Weights), 2e-5, "weights", TermScale);
            TensorAssert.Close(expected, TensorAssert.Values(output.Hidden), 2e-5, "output", TermScale);
            using var _ = no_grad();
            TensorAssert.Close(expected, TensorAssert.Values(layer.call(hidden).Hidden), 2e-5, "output without gradient", TermScale);
        }, Print);

    [Fact]
    public void Gradients_AnyOptions_EqualFiniteDifferencesOfTheNaiveReference() => AnyLayer.Cases.Where(c => c.Tokens > 0).ForEach(40, sample =>
        {
            var (options, tokens, seed) = sample;
            using var scope = NewDisposeScope();
            using var layer = AnyLayer.Create(options, seed);
            var random = new Random(seed + 1);
            var hidden = AnyLayer.Draw(random, tokens, options.HiddenSize).requires_grad_();
            var upstream = AnyLayer.Draw(random, tokens, options.HiddenSize);
            var values = AnyLayer.Values(layer);
            var differences = new FiniteDifferences(options, values, TensorAssert.Values(hidden), TensorAssert.Values(upstream));
            if (!differences.IsSmooth) return;

            var output = layer.call(hidden);
            var loss = (output.Hidden * upstream).sum() + (0.3 * output.Statistics.LoadBalanceLoss) + (0.2 * output.Statistics.ZLoss);
            GuardedBackward.Run(loss);

            TensorAssert.Close(differences.OfTokens(), TensorAssert.Values(hidden.grad!), 1e-4, "tokens", TermScale);
            foreach (var (name, parameter) in AnyLayer.Parameters(layer))
            {
                TensorAssert.Close(differences.Of(name), TensorAssert.Values(parameter.grad!), 1e-4, name, TermScale);
            }
        }, Print);

    [Fact]
    public void Backends_AnyOptions_GiveTheSameOutputsAndGradients() => AnyLayer.Cases.ForEach(150, sample =>
        {
            var (options, tokens, seed) = sample;
            using var scope = NewDisposeScope();
            var loop = Run(options with { Backend = ExpertBackend.Loop }, tokens, seed);
            var dense = Run(options with { Backend = ExpertBackend.Dense }, tokens, seed);

            var fused = Run(options with { Backend = ExpertBackend.Fused }, tokens, seed);

            var grouped = Run(options with { Backend = ExpertBackend.Grouped }, tokens, seed);

            Assert.Equal(loop.Keys, fused.Keys);
            Assert.Equal(loop.Keys, grouped.Keys);
            foreach (var name in loop.Keys)
            {
                TensorAssert.Close(dense[name], loop[name], 1e-5, name, TermScale);
                TensorAssert.Close(fused[name], loop[name], 1e-5, name, TermScale);
                TensorAssert.Close(grouped[name], loop[name], 1e-5, name, TermScale);
            }
        }, Print);

    [Fact]
    public void Fused_AnyOptions_GivesTheSameBitsWhateverItRecomputes() => AnyLayer.Cases.ForEach(100, sample =>
        {
            var (options, tokens, seed) = sample;
            using var scope = NewDisposeScope();
            var expected = Run(options with { Backend = ExpertBackend.Fused }, tokens, seed);
            foreach (var recompute in new[] { Recompute.None, Recompute.All })
            {
                var actual = Run(options with { Backend = ExpertBackend.Fused, Recompute = recompute }, tokens, seed);

                foreach (var name in expected.Keys) TensorAssert.Same(expected[name], actual[name], name);
            }
        }, Print);

    [Fact]
    public void Grouped_AnyOptionsAndSizesItTakes_GivesTheOutputsAndGradientsOfTheLoop() => AnyLayer.Cases.ForEach(100, sample =>
        {
            var (any, tokens, seed) = sample;
            using var scope = NewDisposeScope();
            var options = any with { HiddenSize = any.HiddenSize * 4, Experts = any.Experts with { IntermediateSize = any.Experts.IntermediateSize * 4 } };
            var loop = Run(options with { Backend = ExpertBackend.Loop }, tokens, seed);

            var grouped = Run(options with { Backend = ExpertBackend.Grouped }, tokens, seed);

            foreach (var name in loop.Keys) TensorAssert.Close(grouped[name], loop[name], 1e-5, name, TermScale);
        }, Print);

    private static Dictionary<string, Tensor> Run(MoeOptions options, int tokens, int seed)
    {
        var layer = AnyLayer.Create(options, seed);
        var random = new Random(seed + 1);
        var hidden = AnyLayer.Draw(random, tokens, options.HiddenSize).requires_grad_();

        var output = layer.call(hidden).Hidden;
        GuardedBackward.Run((output * AnyLayer.Draw(random, tokens, options.HiddenSize)).sum());

        var results = AnyLayer.Parameters(layer).ToDictionary(p => p.Key, p => p.Value.grad!.clone());
        results["output"] = output;
        results["tokens"] = hidden.grad!;
        layer.Dispose();
        return results;
    }

    private static string Print((MoeOptions Options, int Tokens, int Seed) sample) => $"{sample.Tokens} tokens, seed {sample.Seed}, {sample.Options}";
}
