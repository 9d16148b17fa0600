using MoeSharp.Training;
using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>The load of every expert over the run, a panel per MoE layer; 1 is an even share.</summary>
internal static class ExpertLoadPlot
{
    public const int ColumnsOfPanels = 2;

    private const int MostColumns = 1000; // more steps than pixels are averaged

    public static Multiplot Draw(IReadOnlyList<StepCompleted> steps)
    {
        var figure = new Multiplot();
        var layers = steps[0].ExpertLoad.Length;
        for (var layer = 0; layer < layers; layer++)
        {
            if (layer > 0) figure.Subplots.Add(new Plot());
            DrawLayer(figure.Subplots.GetPlot(layer), $"MoE layer {layer}", steps, layer);
        }

        figure.Layout = new ScottPlot.MultiplotLayouts.Grid(Rows(layers), Math.Min(layers, ColumnsOfPanels));
        return figure;
    }

    /// <summary>Rows of panels for so many MoE layers.</summary>
    public static int Rows(int layers) => (layers + ColumnsOfPanels - 1) / ColumnsOfPanels;

    /// <summary>One panel: a column for each step, a row for each expert.</summary>
    public static void DrawLayer(Plot plot, string title, IReadOnlyList<StepCompleted> steps, int layer)
    {
        var extent = new CoordinateRect(steps[0].Step - 0.5, steps[^1].Step + 0.5, -0.5, steps[0].ExpertLoad[layer].Length - 0.5); // a cell around each step and expert

        LoadHeat.Add(plot, Loads(steps, layer), extent); // expert 0 at the bottom
        PlotStyle.Apply(plot, title, "step", "expert");
        plot.HideGrid();
        plot.Axes.Left.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic { IntegerTicksOnly = true };
        plot.Axes.SetLimits(extent);
    }

    // [experts, steps or groups of steps]; a lone step or expert comes twice, because a heat map of one column or row is not drawn
    private static double[,] Loads(IReadOnlyList<StepCompleted> steps, int layer)
    {
        var experts = steps[0].ExpertLoad[layer].Length;
        var (rows, columns) = (Math.Max(2, experts), Math.Clamp(steps.Count, 2, MostColumns));
        var loads = new double[rows, columns];
        for (var column = 0; column < columns; column++)
        {
            var from = (int)((long)column * steps.Count / columns);
            var to = Math.Max(from + 1, (int)((long)(column + 1) * steps.Count / columns));
            for (var row = 0; row < rows; row++)
            {
                var expert = row * experts / rows;
                for (var step = from; step < to; step++) loads[row, column] += steps[step].ExpertLoad[layer][expert] * experts / (to - from);
            }
        }

        return loads;
    }
}
