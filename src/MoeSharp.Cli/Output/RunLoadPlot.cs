using MoeSharp.Training;
using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>The load of every expert over several runs: a row of panels for each run, a panel for each MoE layer.</summary>
internal static class RunLoadPlot
{
    private const int RowHeight = 330;
    private const int MostLayers = 4; // beside each other; more would have no room for their steps

    /// <summary>Draws the runs in the order given, titled by the names of their folders.</summary>
    /// <exception cref="UsageException">A folder is not that of a run with MoE layers, or of one with too many.</exception>
    public static void Write(string path, IReadOnlyList<string> folders)
    {
        var runs = folders.Select(folder => (Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))), Steps(folder))).ToArray();

        PlotFonts.Install();
        PlotFile.Save(Draw(runs), path, runs.Length * RowHeight);
    }

    private static IReadOnlyList<StepCompleted> Steps(string folder)
    {
        var metrics = Path.Combine(folder, MetricsFile.FileName);
        if (!File.Exists(metrics)) throw new UsageException($"{folder} has no {MetricsFile.FileName}; give the folders of training runs.");

        var steps = MetricsFile.Read(metrics);
        var layers = steps.Count == 0 ? 0 : steps[0].ExpertLoad.Length;
        if (layers is 0 or > MostLayers) throw new UsageException($"{folder} has {steps.Count} steps of {layers} MoE layers; give runs of at least one step, and of 1 to {MostLayers} such layers.");

        return steps;
    }

    private static Multiplot Draw((string Name, IReadOnlyList<StepCompleted> Steps)[] runs)
    {
        var figure = new Multiplot();
        var columns = runs.Max(run => run.Steps[0].ExpertLoad.Length);
        figure.AddPlots(runs.Length * columns); // so many in all
        foreach (var (row, (name, steps)) in runs.Index())
        {
            for (var layer = 0; layer < columns; layer++)
            {
                var plot = figure.GetPlot(row * columns + layer);
                if (layer < steps[0].ExpertLoad.Length) ExpertLoadPlot.DrawLayer(plot, $"{name}: MoE layer {layer}", steps, layer);
                else plot.HideAxesAndGrid();
            }
        }

        figure.Layout = new ScottPlot.MultiplotLayouts.Grid(runs.Length, columns);
        return figure;
    }
}
