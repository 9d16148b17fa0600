using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

/// <summary>Experts that take the steps they had no token in when they next get one.</summary>
public sealed class IdleExpertTests
{
    private static readonly AdamWOptions Adam = new(0.9, 0.95, 1e-8, 0.1);

    // 16 experts and 3 to 6 choices: most are idle in a step
    private static readonly ModelShape Sparse = TinyModel.Shape with { ExpertCount = 16 };

    [Theory]
    [InlineData(ExpertBackend.Loop, MomentPrecision.Float32)]
    [InlineData(ExpertBackend.Loop, MomentPrecision.BFloat16)]
    [InlineData(ExpertBackend.Dense, MomentPrecision.Float32)]
    public void DeferIdleExperts_EveryStep_HasTheLossesAndInTheEndTheBitsOfDenseAdamW(ExpertBackend backend, MomentPrecision moments)
    {
        using var scope = NewDisposeScope();
        using var dense = new Subject(backend, moments, defers: false);
        using var lazy = new Subject(backend, moments, defers: true);

        for (int step = 0; step < 12; step++) Assert.Equal(dense.Take(step), lazy.Take(step));

        Assert.NotEqual(dense.Bits(), lazy.Bits());      // some experts still wait
        lazy.Optimizer.Flush();
        Assert.Equal(dense.Bits(), lazy.Bits());
    }

    [Fact]
    public void Dispose_ExpertsThatWait_TakeTheirStepsFirst()
    {
        using var scope = NewDisposeScope();
        using var dense = new Subject(ExpertBackend.Loop, MomentPrecision.Float32, defers: false);
        using var lazy = new Subject(ExpertBackend.Loop, MomentPrecision.Float32, defers: true);
        for (int step = 0; step < 3; step++) Assert.Equal(dense.Take(step), lazy.Take(step));

        lazy.Optimizer.Dispose();

        Assert.Equal(dense.Weights(), lazy.Weights());
        lazy.Model.forward(TinyModel.Tokens(1, 2));      // no longer asks the optimiser
    }

    // checkpoints at steps 2, 4 and 6, stops after 1, 3 and 6, measurements in between: all of them read what has to be up to date
    [Theory]
    [InlineData(1, MomentPrecision.Float32)]
    [InlineData(3, MomentPrecision.Float32)]
    [InlineData(6, MomentPrecision.BFloat16)]
    public void Resume_WithDeferredExperts_GivesTheBitsOfAnUnbrokenDenseRun(int step, MomentPrecision moments)
    {
        var options = TinyRun.Options with { Model = Sparse, BatchSize = 1, SequenceLength = 3, EvaluateEvery = 3, Moments = moments };
        using var unbroken = new TinyRun();
        using var broken = new TinyRun();
        unbroken.Train(options);

        broken.StopAfter(step, options with { DeferIdleExperts = true });
        broken.Train(options with { DeferIdleExperts = true }, isResumed: true);

        var (expected, actual) = (unbroken.Bits(), broken.Bits());
        Assert.All(expected, file => Assert.Equal(file.Value, actual[file.Key]));
        Assert.Equal(Measures(unbroken), Measures(broken));
    }

    private static IEnumerable<(double, double?)> Measures(TinyRun run) => MetricsLog.Read(run.File("metrics.jsonl")).Select(step => (step.Loss, step.HeldOutBitsPerByte));

    private sealed class Subject : IDisposable
    {
        private readonly TrainingStep _step;

        public Subject(ExpertBackend backend, MomentPrecision moments, bool defers)
        {
            var layer = new MlpOptions.Sparse(Sparse.MoeLayer with { Backend = backend });
            Model = TinyModel.Create(Sparse.ToDecoder(vocabularySize: 40, maxPositions: 32, endOfTextId: 0) with { Layers = [layer, layer] });
            Optimizer = new AdamW(Model.parameters(), Adam with { Moments = moments });
            if (defers) Optimizer.DeferIdleExperts(Model.MoeLayers);
            _step = new TrainingStep(Model, Optimizer, new([], ZLossCoefficient: 0.001, ClipNorm: 1));
        }

        public DecoderModel Model { get; }

        public AdamW Optimizer { get; }

        public double Take(int step) => _step.Run([(TinyModel.Tokens(1, 2, 2 * step), TinyModel.Tokens(1, 2)), (TinyModel.Tokens(1, 1, 2 * step + 1), TinyModel.Tokens(1, 1))], 2, 0.01 / (step + 1)).Loss;

        public byte[] Weights() => [.. Model.parameters().SelectMany(parameter => parameter.bytes.ToArray())];

        public byte[] Bits() => [.. Weights(), .. Optimizer.Slots.SelectMany(slot => slot.First.bytes.ToArray().Concat(slot.Second.bytes.ToArray()))];

        public void Dispose()
        {
            Optimizer.Dispose();
            Model.Dispose();
        }
    }
}
