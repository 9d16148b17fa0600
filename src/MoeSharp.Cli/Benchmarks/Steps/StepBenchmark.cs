using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>
/// Where the time of a whole layer goes: the gate's product, routing, the experts' products, and what is left of permutation: tokens laid out
/// for the products and the weighted sum of the experts' outputs.
/// </summary>
internal static class StepBenchmark
{
    /// <summary>Measures every shape in every type at every number of tokens, each result as soon as it is known.</summary>
    public static IEnumerable<StepResult> Run(IReadOnlyList<LayerShape> shapes, IReadOnlyList<int> tokenCounts, IReadOnlyList<ProductType> types, int rounds, CancellationToken stop)
    {
        foreach (var shape in shapes)
        {
            foreach (var type in types)
            {
                using var layer = Create(shape, type);
                foreach (int tokens in tokenCounts) yield return Measure(layer, shape, type, tokens, rounds, stop);
            }
        }
    }

    // the experts' threads are timed task by task; gate and routing by calls of their own, in turn with those of the layer
    private static StepResult Measure(MoeLayer layer, LayerShape shape, ProductType type, int tokens, int rounds, CancellationToken stop)
    {
        float[] x = Draw(tokens * shape.HiddenSize, 1), y = new float[x.Length], logits = new float[tokens * shape.Experts];
        layer.Route(x, logits);
        var routing = new RoutingKernel(layer.Options);
        var clock = new StepClock(WorkerPool.Shared.Threads);
        var times = PairedTimes.Measure([WholeLayer, () => layer.Route(x), () => routing.Route(new RoutingInput { Logits = logits, Sequences = 1, SequenceLength = tokens })], rounds, stop);

        double routingShare = times.MedianRatio(2, 0), routerShare = Math.Max(times.MedianRatio(1, 0), routingShare), experts = 1 - routerShare;
        return new StepResult(shape.Name, tokens, ChoiceWord.Of($"{type}"), times.Median(0) / 1000, routerShare - routingShare, routingShare,
            experts * clock.Share(ForwardPass.LayOut), experts * clock.Share(ForwardPass.Up), experts * clock.Share(ForwardPass.Down), experts * clock.Share(ForwardPass.Combine));

        void WholeLayer()
        {
            StepClock.Running = clock;
            layer.Forward(x, y);
            StepClock.Running = null;
        }
    }

    private static MoeLayer Create(LayerShape shape, ProductType type)
    {
        const int Apart = 7919;
        var layer = new MoeLayer(shape.ToOptions(ExpertBackend.Auto), type == ProductType.Fp32 ? ExpertPrecision.Float32 : ExpertPrecision.BFloat16);
        int matrix = shape.HiddenSize * shape.ExpertSize;
        float[] weights = Draw(matrix + 3 * Apart, 0.02f);
        layer.LoadRouter(Draw(shape.Experts * shape.HiddenSize, 0.02f));
        Parallel.For(0, shape.Experts, expert => layer.Experts.Load(expert, Part(31 * expert), Part(37 * expert), Part(41 * expert)));
        return layer;

        ReadOnlySpan<float> Part(int start) => weights.AsSpan(start % (3 * Apart), matrix);
    }

    private static float[] Draw(int count, float range)
    {
        var random = new Random(count);
        float[] drawn = new float[count];
        for (int i = 0; i < count; i++) drawn[i] = (2 * random.NextSingle() - 1) * range;
        return drawn;
    }
}

/// <summary>The shares of a layer's time.</summary>
/// <param name="Shape">The sizes.</param>
/// <param name="Tokens">The number of tokens.</param>
/// <param name="Dtype">fp32 or bf16.</param>
/// <param name="Milliseconds">The median time of the layer.</param>
/// <param name="Gate">Logits: tokens times the router's matrix.</param>
/// <param name="Routing">Scores, selection, weights, sort by expert, offsets.</param>
/// <param name="LayOut">Tokens laid out for the products.</param>
/// <param name="Up">Gate and up projections with the activation.</param>
/// <param name="Down">Down projections.</param>
/// <param name="Sum">The weighted sum of the experts' outputs.</param>
internal sealed record StepResult(string Shape, int Tokens, string Dtype, double Milliseconds, double Gate, double Routing, double LayOut, double Up, double Down, double Sum)
{
    /// <summary>Routing and permutation: all that moves tokens and multiplies no weights.</summary>
    public double RoutingAndPermutation => Routing + LayOut + Sum;
}
