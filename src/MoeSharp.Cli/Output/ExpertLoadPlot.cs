using MoeSharp.Training;
using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>The load of every expert over the run, a panel per MoE layer; 1 is an even share.</summary>
internal static class ExpertLoadPlot
{
    public const int ColumnsOfPanels = 2;

    private const int MostColumns = 1000; // more steps than pixels are averaged
    private const double Fullest = 2;     // twice an even share and more is one colour

    public static Multiplot Draw(IReadOnlyList<StepCompleted> steps)
    {
        var figure = new Multiplot();
        var layers = steps[0].ExpertLoad.Length;
        for (var layer = 0; layer < layers; layer++)
        {
            if (layer > 0) figure.Subplots.Add(new Plot());
            DrawLayer(figure.Subplots.GetPlot(layer), steps, layer);
        }

        figure.Layout = new ScottPlot.MultiplotLayouts.Grid(Rows(layers), Math.Min(layers, ColumnsOfPanels));
        return figure;
    }

    /// <summary>Rows of panels for so many MoE layers.</summary>
    public static int Rows(int layers) => (layers + ColumnsOfPanels - 1) / ColumnsOfPanels;

    private static void DrawLayer(Plot plot, IReadOnlyList<StepCompleted> steps, int layer)
    {
        var loads = Loads(steps, layer);
        var heat = plot.Add.Heatmap(loads);
        heat.Colormap = new LoadColours();
        heat.ManualRange = new(0, Fullest);
        heat.Position = Centres(steps[0].Step, steps[^1].Step, loads.GetLength(0));
        heat.FlipVertically = true; // expert 0 at the bottom
        var bar = plot.Add.ColorBar(heat);
        (bar.Label, bar.LabelStyle.FontSize, bar.LabelStyle.FontName) = ("load (1 = even)", 14, PlotFonts.Family);
        bar.Axis.TickGenerator = new ScottPlot.TickGenerators.NumericManual([0, 0.5, 1, 1.5, 2], ["0", "0.5", "1", "1.5", "2 or more"]);

        PlotStyle.Apply(plot, $"MoE layer {layer}", "step", "expert");
        plot.HideGrid();
        plot.Axes.Left.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic { IntegerTicksOnly = true };
        plot.Axes.SetLimits(steps[0].Step - 0.5, steps[^1].Step + 0.5, -0.5, loads.GetLength(0) - 0.5);
    }

    // ScottPlot wants the centres of the outermost cells, and cells that have a size even where there is one of them
    private static CoordinateRect Centres(int firstStep, int lastStep, int experts) => new(firstStep, Math.Max(lastStep, firstStep + 1), 0, Math.Max(experts - 1, 1));

    // [experts, steps or groups of steps]
    private static double[,] Loads(IReadOnlyList<StepCompleted> steps, int layer)
    {
        var (experts, columns) = (steps[0].ExpertLoad[layer].Length, Math.Min(steps.Count, MostColumns));
        var loads = new double[experts, columns];
        for (var column = 0; column < columns; column++)
        {
            var (from, to) = ((int)((long)column * steps.Count / columns), (int)((long)(column + 1) * steps.Count / columns));
            for (var expert = 0; expert < experts; expert++)
            {
                for (var step = from; step < to; step++) loads[expert, column] += steps[step].ExpertLoad[layer][expert] * experts / (to - from);
            }
        }

        return loads;
    }

    /// <summary>Blue where an expert starves, white where the load is even, red where it is flooded.</summary>
    private sealed class LoadColours : IColormap
    {
        private static readonly Color[] Stops = [Color.FromHex("#053061"), Color.FromHex("#4393c3"), Color.FromHex("#f7f7f7"), Color.FromHex("#d6604d"), Color.FromHex("#67001f")];

        public string Name => "Load";

        public Color GetColor(double position)
        {
            var place = Math.Clamp(position, 0, 1) * (Stops.Length - 1);
            var stop = Math.Min((int)place, Stops.Length - 2);

            return Stops[stop].MixedWith(Stops[stop + 1], place - stop);
        }
    }
}
