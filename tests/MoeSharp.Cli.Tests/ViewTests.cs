using System.Text.Json;
using System.Text.RegularExpressions;
using MoeSharp.TestKit;
using MoeSharp.Training;
using Spectre.Console;
using Spectre.Console.Testing;

namespace MoeSharp.Cli.Tests;

/// <summary>What a run looks like in a file, to a program, and on a terminal.</summary>
public sealed partial class ViewTests : IDisposable
{
    private const string NoColor = "NO_COLOR";
    private const string Term = "TERM";

    private readonly TemporaryFolder _folder = new();
    private readonly Clock _clock = new();

    [Fact]
    public void Plain_AStepPerSecond_WritesALineEveryFiveSecondsAndTheMeasurements()
    {
        using var output = new StringWriter();
        var view = new PlainTrainingView(output, TextWriter.Null, _clock);

        view.Report(ScriptedTraining.Started(60));
        foreach (var step in ScriptedTraining.Steps(60))
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            view.Report(step);
        }

        var lines = Lines(output);
        Assert.Equal("11.3M parameters (4.2M active per token), vocabulary 4,096, 5.1M tokens of text and 104K held out; steps 1 to 60", lines[0]);
        int[] expected = [1, 6, 11, 16, 21, 26, 31, 36, 41, 46, 50, 55, 60];
        Assert.Equal(expected.Select(step => $"step {step,2}/60"), lines.Skip(1).Select(line => line[..10]));
        Assert.Equal([50, 60], expected.Where((_, index) => lines[index + 1].Contains("held-out", StringComparison.Ordinal)));
        Assert.Contains("29s left", lines[7], StringComparison.Ordinal);
    }

    [Fact]
    public void Plain_Preparing_SaysEachActivityOnceInFiveSeconds()
    {
        using var output = new StringWriter();
        var view = new PlainTrainingView(output, TextWriter.Null, _clock);

        view.Report(new Preparing("Reading", null));
        view.Report(new Preparing("Tokenizing", 0.1));
        view.Report(new Preparing("Tokenizing", 0.2));
        _clock.Advance(TimeSpan.FromSeconds(5));
        view.Report(new Preparing("Tokenizing", 0.9));

        Assert.Equal(["Reading", "Tokenizing (10 %)", "Tokenizing (90 %)"], Lines(output));
    }

    [Fact]
    public void Plain_Quiet_WritesNothingBeforeTheEnd()
    {
        using var output = new StringWriter();
        var view = new PlainTrainingView(output, TextWriter.Null, _clock, isQuiet: true);

        view.Report(new Preparing("Reading", null));
        view.Report(ScriptedTraining.Started(60));
        foreach (var step in ScriptedTraining.Steps(60)) view.Report(step);

        Assert.Equal("", output.ToString());
    }

    [Fact]
    public void Plain_NoticesAndStop_GoToTheMessages()
    {
        using var messages = new StringWriter();
        var view = new PlainTrainingView(TextWriter.Null, messages, _clock);

        view.Report(new TrainingNotice("A notice."));
        view.Stopped(new(12, "runs/a", "moesharp train --resume runs/a"));

        Assert.Equal(["A notice.", "Stopped after step 12. Resume with: moesharp train --resume runs/a"], Lines(messages));
    }

    [Fact]
    public void Plain_FinishedRun_ReportsWhatWasAchievedAndWhatToTryNext()
    {
        var run = _folder.File("run");
        var tool = CapturedTool.Run(ScriptedTraining.Engine(3), "train", "--out", run);

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.EndsWith($"""
            Held-out text: 1.234 bits per byte (gzip -9: 1.987)
            Speed: 8,123 tokens/s; 3 steps, 12,288 tokens, 5m12s; processors 97 % busy
            Peak memory: 1.23 GB

            A sample:
              The quick fox

            Written to {run}:
              expert-load.png  loss.png  metrics.jsonl  state/

            Try next:
              moesharp generate {run} --prompt The

            """, tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_ARun_IsOneVersionedObjectALineWithStableFields()
    {
        var run = _folder.File("run");
        var tool = CapturedTool.Run(ScriptedTraining.Engine(2), "train", "--out", run, "--json");

        var events = tool.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.All(events, item => Assert.Equal(1, item.GetProperty("version").GetInt32()));
        const string Step = "version event step tokens loss load_balance_loss z_loss grad_norm learning_rate tokens_per_second expert_load router_entropy routing";
        Assert.Equal(
            [
                "preparing: version event activity share",
                "started: version event first_step steps parameters active_parameters train_tokens held_out_tokens vocabulary_size",
                $"step: {Step}",
                $"step: {Step} held_out_bits_per_byte",
                "checkpoint: version event step folder",
                "finished: version event folder summary prompt sample files next",
            ],
            events.Select(item => $"{item.GetProperty("event").GetString()}: {string.Join(' ', item.EnumerateObject().Select(field => field.Name))}"));
        Assert.Equal(" quick fox", events[^1].GetProperty("sample").GetString());
    }

    [Fact]
    public void Json_StoppedRun_IsAnEventAndAMessage()
    {
        using var output = new StringWriter();
        using var messages = new StringWriter();
        new JsonTrainingView(output, messages).Stopped(new(12, "runs/a", "moesharp train --resume runs/a"));

        Assert.Equal(["""{"version":1,"event":"stopped","step":12,"folder":"runs/a","resume":"moesharp train --resume runs/a"}"""], Lines(output));
        Assert.Equal(["Stopped after step 12. Resume with: moesharp train --resume runs/a"], Lines(messages));
    }

    [Fact]
    public void Live_ARun_ShowsProgressLossSpeedAndTheLoadOfEveryLayer()
    {
        using var terminal = new TestConsole().Width(100).Height(40);

        Show(terminal);

        var picture = terminal.Output;
        foreach (var expected in new[] { "11.3M parameters, 4.2M active per token", "step 60/60", "100 %", "loss ", "held-out ", "(step 60)", "tokens/s", "layer 0", "layer 1", "dead experts  none", "[a notice]" })
        {
            Assert.Contains(expected, picture, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("layer 2", picture, StringComparison.Ordinal);
    }

    [Fact]
    public void Views_StepsThatDropChoices_ShowTheirShareAndOthersDoNot()
    {
        using var output = new StringWriter();
        var (plain, progress) = (new PlainTrainingView(output, TextWriter.Null, _clock), new TrainingProgress(_clock));
        var step = ScriptedTraining.Steps(1).Single();
        var dropping = step with { Routing = [new(1, 1.5, 0.2, 0, DroppedShare: 0.25, 0.6), new(1, 1.2, 0.1, 0, DroppedShare: 0.1, 0.6)] };
        using var terminal = new TestConsole().Width(100).Height(40);
        foreach (var view in (IProgress<TrainingEvent>[])[plain, new Progress(progress)])
        {
            view.Report(ScriptedTraining.Started(1));
            view.Report(dropping);
        }

        terminal.Write(new TrainingDashboard(progress).Draw(100));
        progress.Add(step);

        Assert.Equal(0, progress.DroppedShare);
        Assert.Contains("  dropped 17.5 %", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("dropped       17.5 % of choices found their expert full", terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Live_RunThatFails_LeavesTheErrorToTheCaller()
    {
        using var terminal = new TestConsole();
        var view = new LiveTrainingView(terminal, TextWriter.Null, _clock);

        Assert.Throws<MoeException>(() => view.During(_ => throw new MoeException("The loss is not a number.")));
    }

    [Fact]
    public void Live_NoColor_DrawsWithoutAnyStyle()
    {
        Assert.Matches(AnyStyle(), DrawnWith(noColor: null));
        Assert.DoesNotMatch(AnyStyle(), DrawnWith(noColor: "1"));
    }

    [Fact]
    public void Live_NoColor_DrawsTheSamePicture()
    {
        var (styled, bare) = (DrawnWith(noColor: null), DrawnWith(noColor: "1"));

        Assert.Equal(Memory().Replace(AnyStyle().Replace(styled, ""), ""), Memory().Replace(bare, ""));
    }

    public void Dispose() => _folder.Dispose();

    private string DrawnWith(string? noColor)
    {
        using var output = new StringWriter();
        var (noColorBefore, termBefore) = (Environment.GetEnvironmentVariable(NoColor), Environment.GetEnvironmentVariable(Term));
        Environment.SetEnvironmentVariable(NoColor, noColor); // the terminal reads both from the process; no other test makes a terminal that does
        Environment.SetEnvironmentVariable(Term, "xterm-256color");
        try
        {
            var terminal = AnsiConsole.Create(new() { Ansi = AnsiSupport.Yes, Interactive = InteractionSupport.Yes, Out = new AnsiConsoleOutput(output) });
            PlainStyle.ApplyTo(terminal);
            Show(terminal);
        }
        finally
        {
            Environment.SetEnvironmentVariable(NoColor, noColorBefore);
            Environment.SetEnvironmentVariable(Term, termBefore);
        }

        return output.ToString();
    }

    private void Show(IAnsiConsole terminal)
    {
        var view = new LiveTrainingView(terminal, TextWriter.Null, _clock);
        view.During(progress =>
        {
            progress.Report(new Preparing("Reading", 0.5));
            progress.Report(ScriptedTraining.Started(60));
            progress.Report(new TrainingNotice("[a notice]"));
            foreach (var step in ScriptedTraining.Steps(60))
            {
                _clock.Advance(TimeSpan.FromMilliseconds(20));
                progress.Report(step);
            }

            return ScriptedTraining.Summary(60);
        });
    }

    private static string[] Lines(StringWriter writer) => writer.ToString().ReplaceLineEndings("\n").Split('\n', StringSplitOptions.RemoveEmptyEntries);

    [GeneratedRegex(@"\e\[[0-9;]*m")]
    private static partial Regex AnyStyle();

    [GeneratedRegex(@"memory +[\d.,]+ .B *")]
    private static partial Regex Memory();

    private sealed class Progress(TrainingProgress progress) : IProgress<TrainingEvent>
    {
        public void Report(TrainingEvent value) => progress.Add(value);
    }

    /// <summary>A clock that moves when told.</summary>
    private sealed class Clock : TimeProvider
    {
        private long _ticks = TimeSpan.TicksPerDay;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan time) => _ticks += time.Ticks;
    }
}
