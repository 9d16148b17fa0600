using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>The load of every expert in every layer of a trace; 1 is an even share, and what is grey has no expert or no token.</summary>
internal static class TraceLoadPlot
{
    public const int LeastHeight = TrainingPlots.PanelHeight;

    private const int MostHeight = 2000;
    private const int RowHeight = 36;
    private const int FrameHeight = 150;
    private const int MostLabels = 40;

    public static void Write(string path, IReadOnlyList<RoutingTraceStatistics> layers)
    {
        if (layers.Count == 0) throw new UsageException("The trace has no layers to plot.");

        PlotFonts.Install();
        PlotFile.Save(Draw(layers), path, Math.Clamp(FrameHeight + layers.Count * RowHeight, LeastHeight, MostHeight));
    }

    private static Multiplot Draw(IReadOnlyList<RoutingTraceStatistics> layers)
    {
        var figure = new Multiplot();
        var plot = figure.Subplots.GetPlot(0); // a figure starts with one plot
        var extent = new CoordinateRect(-0.5, layers.Max(layer => layer.Load.Count) - 0.5, -0.5, layers.Count - 0.5); // a cell around each expert and layer

        LoadHeat.Add(plot, Loads(layers), extent);
        PlotStyle.Apply(plot, "Load of the experts", "expert", "MoE layer");
        plot.HideGrid();
        var every = (layers.Count + MostLabels - 1) / MostLabels;
        var labelled = Enumerable.Range(0, layers.Count).Where(row => row % every == 0).ToArray();
        plot.Axes.Left.TickGenerator = new ScottPlot.TickGenerators.NumericManual([.. labelled.Select(row => (double)row)], [.. labelled.Select(row => $"{layers[row].Layer.Layer}")]);
        plot.Axes.SetLimits(extent);
        return figure;
    }

    // [layers, experts]; a lone layer or expert comes twice, because a heat map of one row or column is not drawn
    private static double[,] Loads(IReadOnlyList<RoutingTraceStatistics> layers)
    {
        var experts = layers.Max(layer => layer.Load.Count);
        var (rows, columns) = (Math.Max(2, layers.Count), Math.Max(2, experts));
        var loads = new double[rows, columns];
        for (var row = 0; row < rows; row++)
        {
            var layer = layers[row * layers.Count / rows];
            var even = layer.Choices / (double)layer.Load.Count;
            for (var column = 0; column < columns; column++)
            {
                var expert = column * experts / columns;
                loads[row, column] = expert < layer.Load.Count ? layer.Load[expert] / even : double.NaN;
            }
        }

        return loads;
    }
}
