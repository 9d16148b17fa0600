namespace MoeSharp.Cli;

/// <summary>The plots of a run, drawn from its <c>metrics.jsonl</c>; a file appears whole or not at all.</summary>
internal static class TrainingPlots
{
    public const int Width = PlotFile.Width;
    public const int LossHeight = 900;
    public const int PanelHeight = 420;

    /// <summary>Writes <c>loss.png</c> and <c>expert-load.png</c> into the folder of a run.</summary>
    public static void Write(string folder)
    {
        var steps = MetricsFile.Read(Path.Combine(folder, MetricsFile.FileName));
        if (steps.Count == 0) return;

        PlotFonts.Install();
        PlotFile.Save(LossPlot.Draw(steps), Path.Combine(folder, "loss.png"), LossHeight);
        var layers = steps[0].ExpertLoad.Length;
        if (layers > 0) PlotFile.Save(ExpertLoadPlot.Draw(steps), Path.Combine(folder, "expert-load.png"), ExpertLoadPlot.Rows(layers) * PanelHeight);
    }
}
