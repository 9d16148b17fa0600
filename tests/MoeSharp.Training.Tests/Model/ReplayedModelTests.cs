using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class ReplayedModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Forward_ATrainedModelReplayed_HasTheBitsOfTheRecordedPass()
    {
        using var scope = NewDisposeScope();
        using var model = ModelCheckpoint.Load(Fixtures.Path("trained-tiny"));
        var tokens = randint(0, model.Options.VocabularySize, [3, 9], dtype: ScalarType.Int64, generator: new Generator(5));
        var recorded = model.call(tokens);
        using var replay = RoutingReplay.Open(Write(model, tokens, recorded));

        var replayed = model.forward(tokens, mask: null, cache: null, replay.Calls(1));

        Assert.Equal(recorded.Hidden.data<float>().ToArray(), replayed.Hidden.data<float>().ToArray());
        foreach (var (was, now) in recorded.Routing.Zip(replayed.Routing)) Assert.Equal(was.Plan.Weights, now.Plan.Weights);
    }

    [Fact]
    public void Forward_ReplayedInAnotherModelOfItsShape_TakesTheExpertsAndItsOwnWeights()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create(seed: 1);
        using var other = TinyModel.Create(seed: 2);
        var tokens = TinyModel.Tokens(2, 6);
        var recorded = model.call(tokens);
        using var replay = RoutingReplay.Open(Write(model, tokens, recorded));

        var replayed = other.forward(tokens, mask: null, cache: null, replay.Calls(1));

        foreach (var (was, now) in recorded.Routing.Zip(replayed.Routing))
        {
            Assert.Equal(was.Plan.Experts, now.Plan.Experts);
            Assert.NotEqual(was.Plan.Weights, now.Plan.Weights);
        }
    }

    [Fact]
    public void Forward_AModelWithAnotherNumberOfLayers_IsRefusedWithTheLayersOfBoth()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        using var deeper = TinyModel.Create((TinyModel.Shape with { LayerCount = 3 }).ToDecoder(40, 32, 0));
        var tokens = TinyModel.Tokens(2, 6);
        string path = Write(model, tokens, model.call(tokens));
        using var replay = RoutingReplay.Open(path);

        var error = Assert.Throws<MoeException>(() => deeper.forward(tokens, mask: null, cache: null, replay.Calls(1)));

        Assert.Equal($"The calls from the trace {path} are of the layers 0, 1; the MoE layers of the model are 0, 1, 2. Replay a trace through the model that it was recorded from.", error.Message);
    }

    [Fact]
    public void Calls_OthersOfAnotherNumber_AreRefused()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        var tokens = TinyModel.Tokens(2, 6);
        using var replay = RoutingReplay.Open(Write(model, tokens, model.call(tokens)));

        var error = Assert.Throws<ArgumentException>(() => replay.Calls(1, others: [new()]));

        Assert.StartsWith("There are 1 other calls; expected 2, one for each layer of the trace", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Calls_OfATracedRun_GiveItsFirstStepAgain()
    {
        using var run = new TinyRun();
        string path = _folder.File("run.trace");
        StepCompleted? first = null;
        new Trainer(TinyRun.Options with { Accumulation = 2 }, run.Run with { Trace = path }).Run(new Listener(e => first ??= e as StepCompleted), default);
        using var scope = NewDisposeScope();
        using var untrained = TinyModel.Create(TinyModel.Shape.ToDecoder(300, 16, 0), seed: 0);
        using var replay = RoutingReplay.Open(path);

        Assert.Equal(2, replay.Count(1, 0));
        var passes = ((int[])[0, 1]).Select(pass => untrained.forward(zeros(2, 16, ScalarType.Int64), null, null, replay.Calls(1, pass))).ToArray();

        for (int layer = 0; layer < 2; layer++)
        {
            var load = passes[0].Routing[layer].Load.Add(passes[1].Routing[layer].Load);
            Assert.Equal(first!.ExpertLoad[layer], load.Routed.Select(count => count / (double)load.Routed.Sum()));
        }
    }

    public void Dispose() => _folder.Dispose();

    private string Write(DecoderModel model, Tensor tokens, DecoderOutput output)
    {
        string path = _folder.File("model.trace");
        using var writer = new RoutingTraceWriter(path, model.TraceHeader("test"));
        new RoutingRecorder(model, writer).Record(1, tokens, output.Routing.Select(layer => layer.Plan));
        writer.Complete();
        return path;
    }

    private sealed class Listener(Action<TrainingEvent> hear) : IProgress<TrainingEvent>
    {
        public void Report(TrainingEvent value) => hear(value);
    }
}
