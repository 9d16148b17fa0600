using CsCheck;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Tests;

/// <summary>Layers over the whole space of options, with parameters that make every option matter.</summary>
internal static class AnyLayer
{
    private static readonly Gen<RouterOptions> Routers = Gen.Select(
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 4], Gen.Int[1, 100], Gen.Enum<GroupRanking>(), Gen.Bool),
        Gen.Enum<ScoreFunction>(),
        Gen.Enum<WeightSource>(),
        Gen.Enum<Renormalization>(),
        Gen.Enum<WeightTarget>(),
        Gen.Select(Gen.Bool, Gen.Bool, Gen.Bool),
        Gen.Bool.Select(isScaled => isScaled ? 2.5 : 1),
        (shape, score, weights, renormalize, target, has, scale) =>
        {
            var (groups, size, draw, by, isLimited) = shape;
            int keep = 1 + (draw % groups);
            return new RouterOptions
            {
                ExpertCount = groups * size,
                TopK = 1 + (draw % ((isLimited ? keep : groups) * size)),
                Score = score,
                Weights = weights,
                Renormalize = score == ScoreFunction.Identity ? Renormalization.Never : renormalize, // a sum of logits may be near zero
                RenormalizeEpsilon = 0.01,
                RenormalizePower = 1.5,
                Scale = scale,
                ApplyTo = target,
                HasLogitBias = has.Item1,
                HasCorrectionBias = has.Item2,
                HasPerExpertScale = has.Item3,
                GroupLimit = isLimited ? new GroupLimit(groups, keep, size == 1 ? GroupRanking.Max : by) : null,
            };
        });

    private static readonly Gen<double?> Limits = Gen.Bool.Select(isLimited => isLimited ? 0.4 : (double?)null);

    public static Gen<MoeOptions> Options { get; } = Gen.Select(
        Routers, Gen.Int[1, 6], Gen.Int[1, 5], Gen.Enum<ExpertActivation>(), Limits, Gen.Bool,
        Gen.Select(Gen.Bool, Gen.Int[1, 4], Gen.Bool, Limits),
        (router, hiddenSize, intermediateSize, activation, limit, hasBias, shared) => new MoeOptions
        {
            HiddenSize = hiddenSize,
            Router = router,
            Experts = new ExpertOptions { IntermediateSize = intermediateSize, Activation = activation, Limit = limit, HasBias = hasBias },
            Shared = shared.Item1 ? new SharedExpertOptions { IntermediateSize = shared.Item2, IsGated = shared.Item3, Limit = shared.Item4 } : null,
        });

    /// <summary>Options, a number of tokens and a seed.</summary>
    public static Gen<(MoeOptions Options, int Tokens, int Seed)> Cases { get; } = Gen.Select(Options, Gen.Int[0, 7], Gen.Int[0, 1_000_000]);

    /// <summary>The layer of <paramref name="options"/> with parameters from a seed; also those that start as zeros and ones.</summary>
    public static Module<Tensor, MoeOutput> Create(MoeOptions options, int seed)
    {
        Module<Tensor, MoeOutput> layer = options.Shared is null ? new RoutedMoE(options) : new RoutedAndSharedMoE(options);
        var random = new Random(seed);
        using var _ = no_grad();
        foreach (var (name, values) in layer.state_dict().OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            double offset = name.EndsWith("per_expert_scale", StringComparison.Ordinal) ? 1 : 0;
            using var drawn = Draw(random, values.shape) + offset;
            values.copy_(drawn);
        }

        return layer;
    }

    /// <summary>Values in -1..1 as float32.</summary>
    public static Tensor Draw(Random random, params long[] shape)
    {
        var values = new float[shape.Aggregate(1L, (a, b) => a * b)];
        for (int i = 0; i < values.Length; i++) values[i] = (random.NextSingle() * 2) - 1;
        return tensor(values).reshape(shape);
    }

    public static RoutedMoE Routed(Module<Tensor, MoeOutput> layer) => layer as RoutedMoE ?? ((RoutedAndSharedMoE)layer).Routed;

    /// <summary>Parameters and buffers as the reference names them: without the prefix of the routed part.</summary>
    public static Dictionary<string, double[]> Values(Module<Tensor, MoeOutput> layer) =>
        layer.state_dict().ToDictionary(entry => Name(entry.Key), entry => TensorAssert.Values(entry.Value));

    public static Dictionary<string, Parameter> Parameters(Module<Tensor, MoeOutput> layer) =>
        layer.named_parameters().ToDictionary(entry => Name(entry.name), entry => entry.parameter);

    private static string Name(string key) => key.Replace("routed.", "", StringComparison.Ordinal);
}
