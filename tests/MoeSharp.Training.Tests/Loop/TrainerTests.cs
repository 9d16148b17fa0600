using System.Globalization;
using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training.Tests;

public sealed class TrainerTests
{
    [Fact]
    public void Run_LeavesAHuggingFaceFolderAndTheRecordsOfTheRun()
    {
        using var run = new TinyRun();

        var summary = run.Train();

        string[] expected = ["config.json", "generation_config.json", "metrics.jsonl", "model.safetensors", "run.json", "summary.json", "tokenizer.json", "tokenizer_config.json"];
        Assert.Equal(expected, Directory.EnumerateFiles(run.Folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(TinyRun.Options, RunFile.Read(run.Folder).Options, (a, b) => TrainingOptionsJson.Write(a!) == TrainingOptionsJson.Write(b!));
        Assert.InRange(summary.HeldOutBitsPerByte, 1, 10);
        Assert.InRange(summary.GzipBitsPerByte, 1, 8);
        Assert.Equal(6 * 2 * 16, summary.Tokens);
    }

    [Fact]
    public void Run_EveryStep_WritesALineWithTheDocumentedFields()
    {
        using var run = new TinyRun();
        run.Train();

        var lines = File.ReadLines(run.File("metrics.jsonl")).Select(line => JsonSerializer.Deserialize<JsonElement>(line)).ToArray();

        Assert.Equal(Enumerable.Range(1, 6), lines.Select(line => line.GetProperty("step").GetInt32()));
        foreach (string field in (string[])["tokens", "loss", "load_balance_loss", "grad_norm", "learning_rate", "tokens_per_second", "expert_load"])
            Assert.All(lines, line => Assert.True(line.TryGetProperty(field, out _), field));
        Assert.Equal([2, 4, 6], lines.Where(line => line.TryGetProperty("held_out_bits_per_byte", out _)).Select(line => line.GetProperty("step").GetInt32()));
    }

    [Fact]
    public void Run_FolderThatIsBeingTrainedIn_IsRefusedAndLeftAlone()
    {
        using var run = new TinyRun();
        var refusals = new List<MoeException>();

        run.Train(onEvent: e =>
        {
            if (e is not StepCompleted { Step: 3 }) return;

            refusals.Add(Assert.Throws<MoeException>(() => run.Train(isResumed: true)));
            refusals.Add(Assert.Throws<MoeException>(() => new Trainer(TinyRun.Options, run.Run with { Force = true }).Run(null, default)));
        });

        Assert.Equal(2, refusals.Count);
        Assert.All(refusals, refusal => Assert.Equal($"Another process trains in {run.Folder}. Wait until it ends, or give another folder with --out.", refusal.Message));
        Assert.Equal(6, File.ReadLines(run.File("metrics.jsonl")).Count());
        Assert.False(File.Exists(run.File(".lock")));
    }

    [Fact]
    public void Run_LeftByAKilledProcessBeforeItBegan_IsAsAnEmptyFolder()
    {
        using var run = new TinyRun();
        Directory.CreateDirectory(run.Folder);
        File.WriteAllText(run.File(".lock"), "");

        Assert.Equal(6, run.Train().Steps);
    }

    [Fact]
    public void Run_DenseLayersOnly_Trains()
    {
        using var run = new TinyRun();

        var summary = run.Train(TinyRun.Options with { Model = TinyModel.Shape with { MlpOnlyLayers = [0, 1], DenseSize = 8 } });

        Assert.InRange(summary.HeldOutBitsPerByte, 1, 10);
        Assert.Equal(0, summary.DeadExperts);
    }

    [Fact]
    public void Resume_FinishedRunWithoutItsMetrics_SaysThatThereIsNothingToResume()
    {
        using var run = new TinyRun();
        run.Train();
        File.Delete(run.File("metrics.jsonl"));

        Assert.StartsWith($"The run in {run.Folder} took all its steps, but metrics.jsonl does not say how they went", Assert.Throws<MoeException>(() => run.Train(isResumed: true)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_LongEnough_LearnsTheText()
    {
        using var run = new TinyRun();
        var losses = new List<double>();

        run.Train(TinyRun.Options with { Steps = 60, BatchSize = 4, EvaluateEvery = 0, CheckpointEvery = 0 }, onEvent: e => losses.AddRange(e is StepCompleted step ? [step.Loss] : []));

        Assert.True(losses.TakeLast(5).Average() < losses[0] - 1.5, $"from {losses[0]} to {losses[^1]}");
    }

    [Fact]
    public void Run_WhateverItRecomputes_EndsWithTheSameBits()
    {
        using TinyRun kept = new(), recomputed = new();

        kept.Train(TinyRun.Options with { Recompute = Recompute.None });
        recomputed.Train(TinyRun.Options with { Recompute = Recompute.All });

        Assert.Equal(Recompute.All, RunFile.Read(recomputed.Folder).Options.Recompute);
        Assert.Equal(kept.Bits(), recomputed.Bits());
    }

    [Theory]
    [InlineData(1, BalanceMode.Loss)]
    [InlineData(3, BalanceMode.Bias)]
    [InlineData(4, BalanceMode.None)]
    [InlineData(6, BalanceMode.Loss)]
    public void Resume_AfterAnyStep_GivesTheBitsOfAnUnbrokenRun(int step, BalanceMode balance)
    {
        var options = TinyRun.Options with { Balance = balance, Accumulation = 2 };
        using var unbroken = new TinyRun();
        using var broken = new TinyRun();
        unbroken.Train(options);

        var stopped = broken.StopAfter(step, options);
        broken.Train(options, isResumed: true);

        Assert.Equal(step, stopped.Step);
        Assert.Equal(unbroken.Bits()["model.safetensors"], broken.Bits()["model.safetensors"]);
        Assert.Equal(unbroken.Bits()[$"state{Path.DirectorySeparatorChar}step-00000006{Path.DirectorySeparatorChar}optimizer.safetensors"], broken.Bits()[$"state{Path.DirectorySeparatorChar}step-00000006{Path.DirectorySeparatorChar}optimizer.safetensors"]);
        Assert.Equal(Losses(unbroken), Losses(broken));
    }

    [Fact]
    public void Resume_StoppedTwice_GivesTheBitsOfAnUnbrokenRun()
    {
        using var unbroken = new TinyRun();
        using var broken = new TinyRun();
        unbroken.Train();

        broken.StopAfter(1);
        broken.StopAfter(5, isResumed: true);
        broken.Train(isResumed: true);

        Assert.Equal(unbroken.Bits()["model.safetensors"], broken.Bits()["model.safetensors"]);
    }

    [Fact]
    public void Resume_AnUnfinishedLineInTheLog_IsReplaced()
    {
        using var run = new TinyRun();
        run.StopAfter(3);
        File.AppendAllText(run.File("metrics.jsonl"), """{"step":4,"tok""");

        run.Train(isResumed: true);

        Assert.Equal(Enumerable.Range(1, 6), MetricsLog.Read(run.File("metrics.jsonl")).Select(step => step.Step));
        Assert.Equal(6, File.ReadLines(run.File("metrics.jsonl")).Count());
    }

    [Fact]
    public void Checkpoints_TheLastAndTheBest_AreKept()
    {
        using var run = new TinyRun();
        run.Train(TinyRun.Options with { Steps = 10, KeepCheckpoints = 2, LearningRate = 1e-7, WarmupSteps = 0, MinimumLearningRateFactor = 1 });

        int best = MetricsLog.Read(run.File("metrics.jsonl")).Where(step => step.HeldOutBitsPerByte is not null).MinBy(step => step.HeldOutBitsPerByte)!.Step;

        Assert.Equal(new[] { best, 8, 10 }.Distinct().Order(), Directory.EnumerateDirectories(run.File("state")).Select(folder => int.Parse(Path.GetFileName(folder)[5..], CultureInfo.InvariantCulture)).Order());
    }

    [Fact]
    public void Resume_ADamagedCheckpoint_SaysWhichAndWhatToDo()
    {
        using var run = new TinyRun();
        run.StopAfter(4);
        string weights = run.File("state", "step-00000004", "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[^1] ^= 1;
        File.WriteAllBytes(weights, bytes);

        var error = Assert.Throws<CheckpointException>(() => run.Train(isResumed: true));

        Assert.Equal($"{run.File("state", "step-00000004")}: The checkpoint is damaged: model.safetensors is not what was written (its SHA-256 differs). Remove that folder to resume from the checkpoint before it.", error.Message);
        Directory.Delete(run.File("state", "step-00000004"), recursive: true);
        Assert.Equal(6, run.Train(isResumed: true).Steps);
    }

    [Fact]
    public void Resume_WithAnotherText_IsRefused()
    {
        using var run = new TinyRun();
        run.StopAfter(2);
        string other = run.File("other.txt");
        File.WriteAllText(other, string.Join('\n', Enumerable.Range(0, 900).Select(i => $"line {i * i}")));

        var error = Assert.Throws<MoeException>(() => new Trainer(TinyRun.Options, run.Run with { Resume = true, Data = [other] }).Run(null, default));

        Assert.Contains("is not what the run in", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_AFolderThatIsNotEmpty_IsNotTouched()
    {
        using var run = new TinyRun();
        Directory.CreateDirectory(run.Folder);
        File.WriteAllText(run.File("thesis.json"), "{}");

        Assert.Contains("is not empty", Assert.Throws<MoeException>(() => run.Train()).Message, StringComparison.Ordinal);
        Assert.Contains("does not hold a run", Assert.Throws<MoeException>(() => new Trainer(TinyRun.Options, run.Run with { Force = true }).Run(null, default)).Message, StringComparison.Ordinal);
        Assert.Equal("{}", File.ReadAllText(run.File("thesis.json")));
    }

    [Fact]
    public void Run_Forced_ReplacesAnEarlierRun()
    {
        using var run = new TinyRun();
        run.StopAfter(4);

        var summary = new Trainer(TinyRun.Options with { Steps = 2 }, run.Run with { Force = true }).Run(null, default);

        Assert.Equal(2, summary.Steps);
        Assert.Equal(["step-00000002"], Directory.EnumerateDirectories(run.File("state")).Select(Path.GetFileName));
    }

    [Fact]
    public void Run_UnusableData_LeavesAnEarlierRunAsItWas()
    {
        using var run = new TinyRun();
        run.Train();
        var before = run.Bits();

        Assert.Throws<MoeException>(() => new Trainer(TinyRun.Options, run.Run with { Force = true, Data = [run.File("no-such-file.txt")] }).Run(null, default));

        Assert.Equal(before, run.Bits());
    }

    [Fact]
    public void Run_TooLittleText_SaysHowMuchIsNeeded()
    {
        using var run = new TinyRun();

        var error = Assert.Throws<MoeException>(() => run.Train(TinyRun.Options with { SequenceLength = 100_000 }));

        Assert.Matches(@"^The training text has \d+ tokens; at least 200000 are needed for sequences of 100000\. Give more data or set a smaller sequence length\.$", error.Message);
    }

    [Fact]
    public void Run_ALearningRateThatExplodes_StopsAndKeepsTheCheckpoints()
    {
        using var run = new TinyRun();
        var options = TinyRun.Options with { LearningRate = 1e30, WarmupSteps = 0, ClipNorm = 0, CheckpointEvery = 1, Steps = 20 };

        var error = Assert.Throws<DivergedException>(() => run.Train(options));

        Assert.Matches(@"^Training diverged at step \d+: the (weight|gradient of) .* is not finite.* The checkpoints up to step \d+ stay as they are; try a lower learning rate or a longer warm-up\.$", error.Message);
        Assert.NotEmpty(Directory.EnumerateDirectories(run.File("state")));
    }

    [Fact]
    public void Run_ACheckpointThatCannotBeWritten_SaysSoAndLeavesNoPart()
    {
        using var run = new TinyRun();

        var error = Assert.Throws<CheckpointException>(() => run.Train(onEvent: e =>
        {
            if (e is StepCompleted { Step: 1 }) File.WriteAllText(run.File("state"), "in the way");
        }));

        Assert.Matches(@"state: The checkpoint of step 2 cannot be written: .* Those before it are whole: free some space, then resume the run\.$", error.Message);
        Assert.Equal(["metrics.jsonl", "run.json", "state"], Directory.EnumerateFileSystemEntries(run.Folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    private static IEnumerable<double> Losses(TinyRun run) => MetricsLog.Read(run.File("metrics.jsonl")).Select(step => step.Loss);
}
