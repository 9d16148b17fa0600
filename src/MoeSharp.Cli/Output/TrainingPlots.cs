using MoeSharp.Checkpoints;
using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>The plots of a run, drawn from its <c>metrics.jsonl</c>; a file appears whole or not at all.</summary>
internal static class TrainingPlots
{
    public const int Width = 1400;
    public const int LossHeight = 900;
    public const int PanelHeight = 420;

    /// <summary>Writes <c>loss.png</c> and <c>expert-load.png</c> into the folder of a run.</summary>
    public static void Write(string folder)
    {
        var steps = MetricsFile.Read(Path.Combine(folder, MetricsFile.FileName));
        if (steps.Count == 0) return;

        PlotFonts.Install();
        Save(LossPlot.Draw(steps), Path.Combine(folder, "loss.png"), LossHeight);
        var layers = steps[0].ExpertLoad.Length;
        if (layers > 0) Save(ExpertLoadPlot.Draw(steps), Path.Combine(folder, "expert-load.png"), ExpertLoadPlot.Rows(layers) * PanelHeight);
    }

    private static void Save(Multiplot figure, string path, int height)
    {
        using var image = figure.Render(Width, height);
        AtomicFile.Write(path, stream => stream.Write(image.GetImageBytes(ImageFormat.Png)));
    }
}
