using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class TrainingStepTests
{
    private static readonly AdamWOptions Adam = new(0.9, 0.95, 1e-8, 0.1);

    [Fact]
    public void Run_TwoMicroBatches_EqualOneOfTwiceTheSize()
    {
        using var scope = NewDisposeScope();
        var (inputs, targets) = (TinyModel.Tokens(4, 8, seed: 1), TinyModel.Tokens(4, 8, seed: 2));
        var options = new StepOptions(LoadBalanceCoefficient: 0, PoolsLayers: false, ZLossCoefficient: 0.1, ClipNorm: 0.5, BiasUpdateRate: null);

        var (whole, weights) = Take(options, [(inputs, targets)]);
        var (split, splitWeights) = Take(options, [(inputs.narrow(0, 0, 2), targets.narrow(0, 0, 2)), (inputs.narrow(0, 2, 2), targets.narrow(0, 2, 2))]);

        Assert.Equal(whole.Loss, split.Loss, 1e-6);
        Assert.Equal(whole.GradNorm, split.GradNorm, 1e-5);
        Assert.Equal(whole.ExpertLoad.SelectMany(load => load), split.ExpertLoad.SelectMany(load => load), (a, b) => Math.Abs(a - b) < 1e-12);
        Assert.Equal(weights, splitWeights, (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Fact]
    public void Run_EveryExpertLoad_SumsToOne()
    {
        using var scope = NewDisposeScope();

        var (measures, _) = Take(new(0.01, false, 0.001, 1, null), [(TinyModel.Tokens(4, 8), TinyModel.Tokens(4, 8))]);

        Assert.Equal(2, measures.ExpertLoad.Length);
        Assert.All(measures.ExpertLoad, load => Assert.Equal(1, load.Sum(), 1e-9));
    }

    [Fact]
    public void Run_BiasBalancing_RaisesIdleExpertsAndLowersBusyOnes()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create(TinyModel.Shape.ToDecoder(40, 32, 0, hasCorrectionBias: true));
        using var optimizer = new AdamW(model.parameters(), Adam);
        var step = new TrainingStep(model, optimizer, new(0, false, 0, 1, BiasUpdateRate: 0.25));

        var measures = step.Run([(TinyModel.Tokens(4, 8), TinyModel.Tokens(4, 8))], 1, 1e-3);

        foreach (var (moe, load) in model.MoeLayers.Zip(measures.ExpertLoad))
        {
            float[] bias = moe.CorrectionBias!.data<float>().ToArray();
            Assert.Equal(load.Select(share => 0.25f * Math.Sign(0.25 - share)), bias);
        }
    }

    [Fact]
    public void Run_AWeightThatIsNotANumber_StopsAndNamesIt()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        using var optimizer = new AdamW(model.parameters(), Adam);
        using (no_grad()) model.Layers.Last().Attention.Value.Weight[0, 0] = float.NaN;

        var error = Assert.Throws<DivergedException>(() => new TrainingStep(model, optimizer, new(0, false, 0, 1, null)).Run([(TinyModel.Tokens(1, 4), TinyModel.Tokens(1, 4))], 1, 1e-3));

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
        var step = new TrainingStep(model, optimizer, new(0.01, false, 0.001, 1, null));
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
}
