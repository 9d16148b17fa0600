using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>One run of <c>moesharp train</c> from the resolved options to the closing report.</summary>
internal sealed class TrainingSession(Surroundings surroundings, TrainingOptions options, TrainingRun run, bool isJson, bool isQuiet)
{
    private const string SamplePrompt = "The";
    private const int SampleTokens = 80;
    private const string ShowCursor = "\e[?25h";

    public int Run()
    {
        TrainingConfiguration.RequireMemory(options, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

        var view = ChooseView();
        using var signals = new StopSignals(() => OnStopRequest(view));
        try
        {
            var summary = view.During(progress => surroundings.Engine.Train(options, run, progress, signals.Token));
            TrainingPlots.Write(run.Output);
            view.Finish(new(run.Output, summary, SamplePrompt, Sample(signals.Token), Files(), Next()));
            return ExitCode.Success;
        }
        catch (StoppedException stopped)
        {
            view.Stopped(new(stopped.Step, stopped.Folder, $"{surroundings.ToolName} train --resume {ToolCommandLine.Quote(stopped.Folder)}"));
            return ExitCode.Cancelled;
        }
    }

    private ITrainingView ChooseView() => isJson ? new JsonTrainingView(surroundings.Output, surroundings.Error)
        : surroundings.Terminal is { } terminal && !isQuiet ? new LiveTrainingView(terminal, surroundings.Output, surroundings.Time)
        : new PlainTrainingView(surroundings.Output, surroundings.Error, surroundings.Time, isQuiet);

    private void OnStopRequest(ITrainingView view)
    {
        view.Say("Stopping after this step; press Ctrl-C again to stop at once.");
        if (surroundings.Terminal is not null) surroundings.Output.Write(ShowCursor); // the second signal leaves no time for it
    }

    private string Sample(CancellationToken stop) =>
        string.Concat(surroundings.Engine.Generate(run.Output, SamplePrompt, new() { MaxNewTokens = SampleTokens, Seed = options.Seed }, null, stop).Select(token => token.Text));

    private string[] Files() =>
    [
        .. Directory.EnumerateFiles(run.Output).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal),
        .. Directory.EnumerateDirectories(run.Output).Select(folder => $"{Path.GetFileName(folder)}/").Order(StringComparer.Ordinal),
    ];

    private string Next() => $"{surroundings.ToolName} generate {ToolCommandLine.Quote(run.Output)} --prompt {ToolCommandLine.Quote(SamplePrompt)}";
}
