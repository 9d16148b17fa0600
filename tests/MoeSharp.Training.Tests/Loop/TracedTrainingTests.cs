using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class TracedTrainingTests : IDisposable
{
    private readonly TinyRun _run = new();
    private readonly TemporaryFolder _folder = new();

    private string Trace => _folder.File("run.trace");

    [Fact]
    public void Run_Traced_RecordsEveryMicroBatchOfEveryStepAndLayer()
    {
        var summary = Train(TinyRun.Options with { Accumulation = 2 });

        var (header, entries) = Read(Trace);
        Assert.Equal($"train {_run.Folder}", header.Source);
        Assert.Equal([new(0, 4, 2), new(1, 4, 2)], header.Layers);
        Assert.Equal("0", header.Metadata["seed"]);
        Assert.Equal(from step in Enumerable.Range(1, 6) from micro in (int[])[0, 1] from layer in (int[])[0, 1] select ((long)step, layer), entries.Select(entry => (entry.Step, entry.Layer)));
        Assert.All(entries, entry => Assert.Equal((2, 16, 2), (entry.Sequences, entry.SequenceLength, entry.Width)));
        Assert.Equal(summary.Tokens * 2, entries.Sum(entry => entry.Tokens));
    }

    [Fact]
    public void Run_Traced_RecordsTheLoadsOfTheMetrics()
    {
        var steps = new List<StepCompleted>();
        Train(TinyRun.Options with { Accumulation = 2 }, steps);

        foreach (var (key, entries) in Read(Trace).Entries.GroupBy(entry => (entry.Step, entry.Layer)).Select(group => (group.Key, group)))
        {
            var experts = entries.SelectMany(entry => entry.Experts.ToArray()).ToArray();
            var loads = Enumerable.Range(0, 4).Select(expert => experts.Count(chosen => chosen == expert) / (double)experts.Length);
            Assert.Equal(steps[(int)key.Step - 1].ExpertLoad[key.Layer], loads);
        }
    }

    [Fact]
    public void Run_TracedWithALossOverTheWholeStep_RecordsEachDecisionOnce()
    {
        Train(TinyRun.Options with { Steps = 1, Accumulation = 2, Router = new() { BalanceScope = BalanceScope.Global } });

        Assert.Equal(2 * 2, Read(Trace).Entries.Length);
    }

    [Fact]
    public void Run_Traced_DoesNotChangeABit()
    {
        using var plain = new TinyRun();
        plain.Train();

        Train(TinyRun.Options);

        Assert.Equal(plain.Bits()["model.safetensors"], _run.Bits()["model.safetensors"]);
    }

    [Fact]
    public void Run_Stopped_KeepsItsTraceAndTheResumedRunWritesTheRestInANewOne()
    {
        using var stop = new CancellationTokenSource();
        var run = _run.Run with { Trace = Trace };
        Assert.Throws<StoppedException>(() => new Trainer(TinyRun.Options, run).Run(new Listener(e =>
        {
            if (e is StepCompleted { Step: 4 }) stop.Cancel();
        }), stop.Token));

        var refused = Assert.Throws<MoeException>(() => new Trainer(TinyRun.Options, run with { Resume = true }).Run(null, default));
        string rest = _folder.File("rest.trace");
        new Trainer(TinyRun.Options, run with { Resume = true, Trace = rest }).Run(null, default);

        Assert.Equal($"The trace {Trace} exists. A resumed run records its own steps: give another file with --trace.", refused.Message);
        Assert.Equal([1, 2, 3, 4], Read(Trace).Entries.Select(entry => entry.Step).Distinct());
        Assert.Equal([5, 6], Read(rest).Entries.Select(entry => entry.Step).Distinct());
    }

    [Fact]
    public void Run_Diverged_KeepsItsTrace()
    {
        var options = TinyRun.Options with { LearningRate = 1e30, WarmupSteps = 0, ClipNorm = 0, Steps = 20 };

        Assert.Throws<DivergedException>(() => Train(options));

        Assert.NotEmpty(Read(Trace).Entries);
        Assert.False(File.Exists(Trace + RoutingTraceWriter.PartialSuffix));
    }

    [Fact]
    public void Run_ATraceThatExists_IsRefusedBeforeAnythingIsWritten()
    {
        File.WriteAllText(Trace, "mine");

        var error = Assert.Throws<MoeException>(() => Train(TinyRun.Options));

        Assert.Equal($"The trace {Trace} exists. Replace it with --force, or give another file with --trace.", error.Message);
        Assert.Equal("mine", File.ReadAllText(Trace));
        Assert.False(Directory.Exists(_run.Folder));
    }

    [Fact]
    public void Run_Forced_ReplacesATrace()
    {
        File.WriteAllText(Trace, "mine");

        new Trainer(TinyRun.Options with { Steps = 1 }, _run.Run with { Trace = Trace, Force = true }).Run(null, default);

        Assert.Equal(2, Read(Trace).Entries.Length);
    }

    [Fact]
    public void Run_ATraceInTheFolderOfTheRun_StaysBesideTheModel()
    {
        string trace = _run.File("traces", "run.trace");

        new Trainer(TinyRun.Options with { Steps = 1 }, _run.Run with { Trace = trace }).Run(null, default);

        Assert.Equal(2, Read(trace).Entries.Length);
    }

    [Fact]
    public void Run_AFolderAsTrace_IsRefused()
    {
        var error = Assert.Throws<MoeException>(() => new Trainer(TinyRun.Options, _run.Run with { Trace = _folder.Path, Force = true }).Run(null, default));

        Assert.Equal($"{_folder.Path} is a folder; give a file for the trace.", error.Message);
    }

    [Fact]
    public void Run_ATraceThatCannotBeCreated_SaysSo()
    {
        File.WriteAllText(_folder.File("file"), "");
        string trace = Path.Combine(_folder.File("file"), "run.trace");

        var error = Assert.Throws<MoeException>(() => new Trainer(TinyRun.Options, _run.Run with { Trace = trace }).Run(null, default));

        Assert.Matches(@"^The trace .*run\.trace cannot be written: .*\. Give another file with --trace, or leave it out\.$", error.Message);
    }

    [Fact]
    public void Run_ATraceThatCannotGetItsName_KeepsItAside()
    {
        var error = Assert.Throws<MoeException>(() => new Trainer(TinyRun.Options with { Steps = 1 }, _run.Run with { Trace = Trace }).Run(new Listener(e =>
        {
            if (e is StepCompleted) Directory.CreateDirectory(Trace);
        }), default));

        Assert.Contains($"What was recorded is in {Trace}{RoutingTraceWriter.PartialSuffix}", error.Message, StringComparison.Ordinal);
        using var reader = RoutingTraceReader.Open(Trace + RoutingTraceWriter.PartialSuffix, allowPartial: true);
        Assert.Equal(2, reader.ReadEntries().Count());
    }

    [Fact]
    public void Run_TracedWithoutAnMoeLayer_IsRefused()
    {
        var options = TinyRun.Options with { Model = TinyModel.Shape with { MlpOnlyLayers = [0, 1], DenseSize = 8 } };

        var error = Assert.Throws<MoeException>(() => Train(options));

        Assert.Equal($"The model has no Mixture-of-Experts layer, so there is no routing for the trace {Trace}; leave out --trace.", error.Message);
    }

    public void Dispose()
    {
        _run.Dispose();
        _folder.Dispose();
    }

    private TrainingSummary Train(TrainingOptions options, List<StepCompleted>? steps = null) =>
        new Trainer(options, _run.Run with { Trace = Trace }).Run(new Listener(e => steps?.AddRange(e is StepCompleted step ? [step] : [])), default);

    private static (RoutingTraceHeader Header, RoutingTraceEntry[] Entries) Read(string path)
    {
        using var reader = RoutingTraceReader.Open(path);
        return (reader.Header, [.. reader.ReadEntries()]);
    }

    private sealed class Listener(Action<TrainingEvent> hear) : IProgress<TrainingEvent>
    {
        public void Report(TrainingEvent value) => hear(value);
    }
}
