using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class TrainingStepTests
{
    private static readonly AdamWOptions Adam = new(0.9, 0.95, 1e-8, 0.1);
    private static readonly StepOptions Plain = new([], ZLossCoefficient: 0.001, ClipNorm: 1);

    [Fact]
    public void Run_TwoMicroBatches_EqualOneOfTwiceTheSize()
    {
        using var scope = NewDisposeScope();
        var (inputs, targets) = (TinyModel.Tokens(4, 8, seed: 1), TinyModel.Tokens(4, 8, seed: 2));
        var options = new StepOptions([], ZLossCoefficient: 0.1, ClipNorm: 0.5);

        var (whole, weights) = Take(options, [(inputs, targets)]);
        var (split, splitWeights) = Take(options, [(inputs.narrow(0, 0, 2), targets.narrow(0, 0, 2)), (inputs.narrow(0, 2, 2), targets.narrow(0, 2, 2))]);

        Assert.Equal(whole.Loss, split.Loss, 1e-6);
        Assert.Equal(whole.GradNorm, split.GradNorm, 1e-5);
        Assert.Equal(whole.Routing.SelectMany(layer => layer.Routed), split.Routing.SelectMany(layer => layer.Routed));
        Assert.Equal(weights, splitWeights, (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Fact]
    public void Run_EveryLayer_CountsTheTokensOfAllItsExperts()
    {
        using var scope = NewDisposeScope();

        var (measures, _) = Take(Plain, [(TinyModel.Tokens(4, 8), TinyModel.Tokens(4, 8))]);

        Assert.Equal(2, measures.Routing.Count);
        Assert.All(measures.Routing, layer => Assert.Equal(4 * 8 * 2, layer.Routed.Sum()));
    }

    // a loss of global scope and a bias see the whole step, so that cutting it into micro-batches changes nothing
    [Theory]
    [InlineData(BalanceScope.Global, BalanceScores.Softmax)]
    [InlineData(BalanceScope.Global, BalanceScores.RouterNormalized)]
    public void Run_GlobalBalanceOverMicroBatches_EqualsThatOfOneBatch(BalanceScope scope, BalanceScores scores)
    {
        using var disposed = NewDisposeScope();
        var (inputs, targets) = (TinyModel.Tokens(6, 8, seed: 1), TinyModel.Tokens(6, 8, seed: 2));
        var options = WithMoe(moe => moe with { LoadBalance = [new() { Coefficient = 0.5, Scope = scope, Scores = scores }] });
        var parts = Enumerable.Range(0, 3).Select(i => (inputs.narrow(0, 2 * i, 2), targets.narrow(0, 2 * i, 2))).ToArray();

        double whole = GradNorm(options, [(inputs, targets)]), split = GradNorm(options, parts);
        double perBatch = GradNorm(WithMoe(moe => moe with { LoadBalance = [new() { Coefficient = 0.5, Scope = BalanceScope.Batch, Scores = scores }] }), parts);

        Assert.Equal(1, split / whole, 1e-5);
        Assert.NotEqual(1, perBatch / whole, 1e-3);      // the scope matters
    }

    [Fact]
    public void Run_BiasBalancing_RaisesIdleExpertsAndLowersBusyOnes()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create(WithMoe(moe => moe with { Router = moe.Router with { HasCorrectionBias = true }, BalanceBias = new(0.25) }));
        using var optimizer = new AdamW(model.parameters(), Adam);
        var batches = Enumerable.Range(0, 3).Select(i => (TinyModel.Tokens(4, 8, seed: i), TinyModel.Tokens(4, 8))).ToArray();

        var measures = new TrainingStep(model, optimizer, Plain).Run(batches, 3, 1e-3);

        foreach (var (moe, load) in model.MoeLayers.Zip(measures.Routing))
        {
            Assert.Equal(3 * 4 * 8, load.Tokens);
            Assert.Equal(load.Routed.Select(count => 0.25f * Math.Sign(3 * 16 - count)), moe.CorrectionBias!.data<float>().ToArray());     // once, whatever the number of micro-batches
        }
    }

    [Fact]
    public void Run_AWeightThatIsNotANumber_StopsAndNamesIt()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        using var optimizer = new AdamW(model.parameters(), Adam);
        using (no_grad()) model.Layers.Last().Attention.Value.Weight[0, 0] = float.NaN;

        var error = Assert.Throws<DivergedException>(() => new TrainingStep(model, optimizer, Plain).Run([(TinyModel.Tokens(1, 4), TinyModel.Tokens(1, 4))], 1, 1e-3));

        Assert.Equal("the weight model.layers.1.self_attn.v_proj.weight is not finite", error.Message);
    }

    [Fact]
    public void Run_TwoThousandSteps_KeepNoTensorsAndNoMemory()
    {
        const long Slack = 16 << 20;       // the collector's heap breathes; a leak of one 1 KB tensor a step would be larger
        set_num_threads(1);                // so small a model has no work for two, and they would wait for each other on a busy machine
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        using var optimizer = new AdamW(model.parameters(), Adam);
        var step = new TrainingStep(model, optimizer, Plain);
        var batch = (TinyModel.Tokens(2, 8), TinyModel.Tokens(2, 8));
        void Take(int steps)
        {
            for (int i = 0; i < steps; i++) step.Run([batch], 1, 1e-3);
        }

        Take(300);
        var (tensors, memory) = (Tensor.TotalCount, Environment.WorkingSet);
        Take(1700);

        Assert.Equal(tensors, Tensor.TotalCount);
        Assert.InRange(Environment.WorkingSet - memory, long.MinValue, Slack);
    }

    private static (StepMeasures Measures, float[] Weights) Take(StepOptions options, (Tensor, Tensor)[] batches)
    {
        using var model = TinyModel.Create();
        using var optimizer = new AdamW(model.parameters(), Adam);
        var measures = new TrainingStep(model, optimizer, options).Run(batches, batches.Length, 1e-2);
        return (measures, [.. model.parameters().SelectMany(parameter => parameter.data<float>().ToArray())]);
    }

    private static DecoderOptions WithMoe(Func<MoeOptions, MoeOptions> change)
    {
        var sparse = new MlpOptions.Sparse(change(((MlpOptions.Sparse)TinyModel.Options.Layers[0]).Moe));
        return TinyModel.Options with { Layers = [sparse, sparse] };
    }

    private static double GradNorm(DecoderOptions options, (Tensor, Tensor)[] batches)
    {
        using var model = TinyModel.Create(options);
        using var optimizer = new AdamW(model.parameters(), Adam);
        return new TrainingStep(model, optimizer, new([], 0, ClipNorm: 0)).Run(batches, batches.Length, 1e-3).GradNorm;
    }
}
