using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

/// <summary>What becomes of a run whose process is interrupted or killed.</summary>
public sealed class InterruptedTrainingTests : IDisposable
{
    private const int Steps = 14;

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Train_KilledAtRandomMoments_ResumesToTheBitsOfAnUnbrokenRun(int seed)
    {
        var random = new Random(seed);
        string[] expected = Finished(_folder.File("unbroken"));
        string broken = _folder.File("broken");

        for (int kill = 0; kill < 3; kill++)
        {
            // some milliseconds after a step: in the next step, or while its checkpoint is written (one after every step)
            using var tool = new ToolProcess(StartOrResume(broken));
            WaitForSteps(tool, broken, Math.Min(Lines(broken) + random.Next(1, 4), Steps));
            Thread.Sleep(random.Next(25));
            tool.KillNow();
        }

        Assert.Equal(expected, Finished(broken));
    }

    [Fact]
    public void Train_Interrupted_WritesACheckpointSaysHowToResumeAndExitsWith130()
    {
        string run = _folder.File("run");
        using var tool = new ToolProcess(Start(run, steps: 100_000));
        WaitForSteps(tool, run, 2);

        tool.Signal();
        var (code, _, error) = tool.Finish();

        int taken = Lines(run);
        Assert.Equal(130, code);
        Assert.Contains($"train --resume {run}", error, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(run, "state", $"step-{taken:D8}", "state.json")));
        Assert.True(File.Exists(Path.Combine(run, "model.safetensors")));
    }

    [Fact]
    public void Train_TracedAndInterrupted_KeepsAWholeTraceOfItsSteps()
    {
        string run = _folder.File("run"), trace = _folder.File("run.trace");
        using var tool = new ToolProcess([.. Start(run, steps: 100_000), "--trace", trace]);
        WaitForSteps(tool, run, 2);

        tool.Signal();
        Assert.Equal(130, tool.Finish().ExitCode);

        using var reader = RoutingTraceReader.Open(trace);
        Assert.True(reader.IsComplete);
        Assert.Equal(Enumerable.Range(1, Lines(run)).Select(step => (long)step), reader.ReadEntries().Select(entry => entry.Step).Distinct());
    }

    [Fact]
    public void Train_TracedAndKilled_LeavesItsStepsAside()
    {
        string run = _folder.File("run"), trace = _folder.File("run.trace");
        using var tool = new ToolProcess([.. Start(run, steps: 100_000), "--trace", trace]);
        WaitForSteps(tool, run, 2);

        tool.KillNow();

        using var reader = RoutingTraceReader.Open(trace + RoutingTraceWriter.PartialSuffix, allowPartial: true);
        Assert.False(File.Exists(trace));
        Assert.True(reader.ReadEntries().Select(entry => entry.Step).Distinct().Count() >= Lines(run));
    }

    [Fact]
    public void Train_InterruptedTwice_StopsAtOnceAndCanStillBeResumed()
    {
        string run = _folder.File("run");
        using (var tool = new ToolProcess([.. Start(run, batchSize: 64), "--accumulation", "1000"]))
        {
            WaitFor(tool, () => File.Exists(Path.Combine(run, "metrics.jsonl")));
            tool.Signal();
            Thread.Sleep(200);
            tool.Signal();

            Assert.Equal(130, tool.Finish().ExitCode);
        }

        Assert.Equal(0, Lines(run));
        Assert.False(Directory.Exists(Path.Combine(run, "state")));
    }

    public void Dispose() => _folder.Dispose();

    private static string[] Start(string run, int steps = Steps, int batchSize = 2) =>
    [
        "train", "--preset", "tiny", "--data", Fixtures.Path("tokenizer", "training"), "--out", run, "--steps", $"{steps}", "--vocabulary-size", "300", "--batch-size", $"{batchSize}", "--sequence-length", "16",
        "--held-out-share", "0.2", "--checkpoint-every", "1", "--evaluate-every", "0", "--threads", "1",
    ];

    /// <summary>A run that was killed before it had written anything is simply started again.</summary>
    private static string[] StartOrResume(string run) => File.Exists(Path.Combine(run, "run.json")) ? ["train", "--resume", run] : Start(run);

    private static string[] Finished(string run)
    {
        using var tool = new ToolProcess(StartOrResume(run));
        var (code, _, error) = tool.Finish();
        Assert.True(code == 0, error);

        string[] files = ["model.safetensors", "tokenizer.json", "config.json", $"state/step-{Steps:D8}/model.safetensors", $"state/step-{Steps:D8}/optimizer.safetensors"];
        return [.. files.Select(file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(Path.Combine(run, file)))))];
    }

    private static void WaitForSteps(ToolProcess tool, string run, int steps) => WaitFor(tool, () => Lines(run) >= steps);

    private static void WaitFor(ToolProcess tool, Func<bool> condition)
    {
        for (var clock = System.Diagnostics.Stopwatch.StartNew(); !condition();)
        {
            if (tool.HasExited) return;     // the run was shorter than the wait: there is nothing left to interrupt
            Assert.True(clock.Elapsed < TimeSpan.FromMinutes(3), "Nothing happened for three minutes.");
            Thread.Sleep(2);
        }
    }

    private static int Lines(string run)
    {
        string metrics = Path.Combine(run, "metrics.jsonl");
        if (!File.Exists(metrics)) return 0;

        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return File.ReadAllText(metrics).Count(character => character == '\n');
            }
            catch (IOException) when (attempt < 500)
            {
                Thread.Sleep(2);        // a run that resumes holds the file for itself while it writes it anew
            }
        }
    }
}
