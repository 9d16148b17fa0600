using CsCheck;
using MoeSharp.TestKit;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Tests;

/// <summary><see cref="MoeLayer"/>, which knows no TorchSharp, against the modules: the same weights give the same logits, plans and outputs.</summary>
public sealed class SpanLayerTests
{
    private static readonly Gen<double?> Limits = Gen.Bool.Select(isLimited => isLimited ? 0.4 : (double?)null);

    // any routing, of tokens and experts wide enough to tell them apart
    private static readonly Gen<AnyRouting.Case> Cases = Gen.Select(
        AnyRouting.Cases, Gen.Int[2, 40], Gen.Int[1, 40], Gen.Enum<ExpertActivation>(), Gen.Enum<WeightTarget>(), Limits,
        Gen.Select(Gen.Bool, Gen.Bool, Gen.Int[0, 2], Gen.Int[0, 2]),
        (sample, hidden, intermediate, activation, applyTo, limit, has) => sample with
        {
            IsTraining = false,
            Options = sample.Options with
            {
                HiddenSize = hidden,
                Experts = new() { IntermediateSize = intermediate, Activation = activation, Limit = limit, HasBias = has.Item1 },
                Shared = has.Item4 == 0 ? null : new() { IntermediateSize = hidden, IsGated = has.Item4 == 1, Limit = limit },
                Router = sample.Options.Router with { ApplyTo = applyTo, HasLogitBias = has.Item2, InputNorm = has.Item3 == 0 ? null : new(1e-6, HasScale: has.Item3 == 1) },
            },
        });

    [Fact]
    public void Forward_AnyOptions_AgreesWithTheModules()
    {
        int otherPlans = 0;
        Cases.ForEach(300, sample =>
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            using var module = AnyLayer.Create(sample.Options, sample.Seed);
            AnyLayer.Routed(module).TokenTable?.copy_(Table(sample.Options.Router));
            using var layer = LayerOf(module, sample.Options);
            if (!AgreesWith(module, layer, sample)) otherPlans++;
        });

        Assert.InRange(otherPlans, 0, 3);       // where float32 tells experts apart by chance
    }

    private static bool AgreesWith(Module<Tensor, MoeOutput> module, MoeLayer layer, AnyRouting.Case sample)
    {
        module.eval();
        var random = new Random(sample.Seed + 1);
        var (options, tokens, routed) = (sample.Options, sample.Tokens, AnyLayer.Routed(module));
        long[] shape = [sample.Sequences, sample.Length, options.HiddenSize], perToken = shape[..2];
        Tensor hidden = AnyLayer.Draw(random, shape), read = AnyLayer.Draw(random, shape);
        long[] ids = [.. Enumerable.Range(0, tokens).Select(_ => (long)random.Next(11))];
        long[] given = options.Router.Select is Selection.Forced ? [.. Enumerable.Range(0, tokens).SelectMany(token => Enumerable.Range(token, options.Router.TopK)).Select(expert => (long)expert % options.Router.ExpertCount)] : [];
        bool[] mask = sample.IsMasked ? [.. Enumerable.Range(0, tokens).Select(_ => random.Next(3) > 0)] : [];
        var call = new RoutingCall
        {
            RouterInput = read,
            TokenIds = tensor(ids, perToken),
            Experts = options.Router.Select is Selection.Forced ? tensor(given, [.. perToken, options.Router.TopK]) : null,
            TokenMask = sample.IsMasked ? tensor(mask, perToken) : null,
        };
        float[] x = Floats(hidden), input = Floats(read), logits = new float[tokens * options.Router.ExpertCount], output = new float[x.Length];
        var spans = new MoeCall { RouterInput = input, TokenIds = ids, Experts = given, Mask = mask, Sequences = sample.Sequences };

        var expected = Forward(module, hidden, call);
        var plan = layer.Route(x, logits, spans);
        TensorAssert.Close(routed.Gate.call(read).reshape(-1), tensor(logits), 1e-5, "logits", scale: 0.1);

        var expectedPlan = routed.Plan(hidden, call);
        if (!TensorAssert.Values(expectedPlan.Experts).SequenceEqual(plan.Experts.Select(expert => (double)expert))) return false;

        TensorAssert.Close(expectedPlan.Weights.reshape(-1), tensor(plan.Weights), 1e-5, "weights", scale: 0.1);
        Assert.Equal(TensorAssert.Values(expectedPlan.Order), plan.Order.Select(pair => (double)pair));
        layer.Forward(x, output, spans);
        TensorAssert.Close(expected.reshape(-1), tensor(output), 1e-5, "output", scale: 0.1);
        return true;
    }

    private static Tensor Table(RouterOptions router) =>
        tensor([.. Enumerable.Range(0, 11).SelectMany(id => Enumerable.Range(7 * id, router.TopK)).Select(expert => (long)expert % router.ExpertCount)], [11, router.TopK]);

    private static Tensor Forward(Module<Tensor, MoeOutput> module, Tensor hidden, RoutingCall call) =>
        (module is RoutedAndSharedMoE both ? both.forward(hidden, call) : ((RoutedMoE)module).forward(hidden, call)).Hidden;

    private static MoeLayer LayerOf(Module<Tensor, MoeOutput> module, MoeOptions options)
    {
        var layer = new MoeLayer(options);
        var routed = AnyLayer.Routed(module);
        layer.LoadRouter(Floats(routed.Gate.Weight));
        if (routed.Gate.Bias is { } logitBias) layer.LoadLogitBias(Floats(logitBias));
        if (routed.Gate.Scale is { } inputScale) layer.LoadInputScale(Floats(inputScale));
        if (routed.CorrectionBias is { } correctionBias) layer.LoadCorrectionBias(Floats(correctionBias));
        if (routed.QuantileBias is { } quantileBias) layer.LoadQuantileBias(Floats(quantileBias));
        if (routed.PerExpertScale is { } scale) layer.LoadPerExpertScale(Floats(scale));
        if (routed.TokenTable is { } table) layer.LoadTokenTable([.. TensorAssert.Values(table).Select(expert => (long)expert)]);
        for (int e = 0; e < options.Router.ExpertCount; e++)
        {
            layer.Experts.Load(e, Floats(routed.Experts.Gate[e]), Floats(routed.Experts.Up[e]), Floats(routed.Experts.Down[e]));
            if (routed.Experts is { GateBias: { } gateBias, UpBias: { } upBias, DownBias: { } downBias }) layer.Experts.LoadBias(e, Floats(gateBias[e]), Floats(upBias[e]), Floats(downBias[e]));
        }

        if (module is RoutedAndSharedMoE { Shared: var shared }) layer.Experts.LoadShared(Floats(shared.Gate), Floats(shared.Up), Floats(shared.Down), shared.Router is null ? [] : Floats(shared.Router));
        return layer;
    }

    private static float[] Floats(Tensor values) => [.. TensorAssert.Values(values).Select(value => (float)value)];
}
