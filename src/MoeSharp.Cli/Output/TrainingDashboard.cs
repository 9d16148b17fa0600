using MoeSharp.Training;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace MoeSharp.Cli;

/// <summary>The picture of a run: progress, losses, speed, and how even the experts are loaded.</summary>
internal sealed class TrainingDashboard(TrainingProgress progress)
{
    private const int LabelWidth = 12;
    private const int MostLayers = 12;

    public TrainingProgress Progress => progress;

    public IRenderable Draw(int width) => new Rows(Lines(Math.Clamp(width, 40, 120)).Select(line => (IRenderable)new Markup(line)));

    private IEnumerable<string> Lines(int width)
    {
        if (progress.Started is { } started)
        {
            yield return $"[bold]{Quantity.Short(started.Parameters)} parameters[/], {Quantity.Short(started.ActiveParameters)} active per token [grey]·[/] {Quantity.Short(started.TrainTokens)} tokens of text";
            if (progress.Step is { } step)
            {
                foreach (var line in StepLines(started, step, width)) yield return line;
            }
        }
        else if (progress.Preparing is { } preparing)
        {
            yield return preparing.Share is { } share ? $"{Markup.Escape(preparing.Activity)}  {ProgressBar(share, 30)} {Quantity.Text($"{share:0 %}")}" : $"{Markup.Escape(preparing.Activity)} …";
        }

        foreach (var notice in progress.Notices) yield return $"[yellow]{Markup.Escape(notice)}[/]";
    }

    private IEnumerable<string> StepLines(TrainingStarted started, StepCompleted step, int width)
    {
        var share = (double)step.Step / started.Steps;
        var times = $"step {step.Step}/{started.Steps} [grey]·[/] {Quantity.Duration(progress.Elapsed)} gone, {Quantity.Duration(progress.Remaining ?? TimeSpan.Zero)} left";
        yield return $"{ProgressBar(share, Math.Max(10, width - 50))} {Quantity.Text($"{share:0 %}")} [grey]·[/] {times}";
        yield return "";
        yield return Row("loss", Quantity.Text($"[bold]{step.Loss:0.000}[/]  [blue]{Sparkline.Of(progress.Losses, Math.Max(10, width - 40))}[/]"));
        yield return Row("held-out", progress.Measured is { } measured ? Quantity.Text($"[bold]{measured.HeldOutBitsPerByte:0.000}[/] bits per byte [grey](step {measured.Step})[/]") : "[grey]not measured yet[/]");
        yield return Row("speed", $"{Quantity.Grouped(step.TokensPerSecond)} tokens/s");
        yield return Row("memory", Quantity.Bytes(Environment.WorkingSet));
        yield return Row("gradients", Quantity.Text($"norm {step.GradNorm:0.00} [grey]·[/] learning rate {step.LearningRate:0.00e+0}"));
        yield return Row("dead experts", progress.DeadExperts == 0 ? "none" : $"[red]{progress.DeadExperts}[/]");
        if (progress.DroppedShare > 0) yield return Row("dropped", Quantity.Text($"{progress.DroppedShare:0.0 %} [grey]of choices found their expert full[/]"));
        yield return "";
        yield return "[grey]Load of each expert; a bar of half height is even[/]";
        for (var layer = 0; layer < Math.Min(step.ExpertLoad.Length, MostLayers); layer++) yield return Row($"layer {layer}", LoadBars(step.ExpertLoad[layer], width - 30));
        if (step.ExpertLoad.Length > MostLayers) yield return $"[grey]… and {step.ExpertLoad.Length - MostLayers} more layers[/]";
    }

    private static string Row(string label, string value) => $"[grey]{label.PadRight(LabelWidth)}[/]  {value}";

    private static string ProgressBar(double share, int width)
    {
        var done = (int)Math.Round(Math.Clamp(share, 0, 1) * width);
        return $"[green]{new string('━', done)}[/][grey]{new string('━', width - done)}[/]";
    }

    private static string LoadBars(double[] shares, int width)
    {
        var loads = shares.Select(share => share * shares.Length).ToArray();
        var bars = Sparkline.Of(loads, Math.Max(8, width), lowest: 0, highest: 2);
        var colour = loads.Min() == 0 ? "red" : loads.Max() > 2 ? "yellow" : "green";

        return Quantity.Text($"[{colour}]{bars}[/]  [grey]{loads.Min():0.0}-{loads.Max():0.0}[/]");
    }
}
