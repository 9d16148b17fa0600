using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>A heat map of expert loads, with its colours and their bar: 1 is an even share.</summary>
internal static class LoadHeat
{
    private const double Fullest = 2; // twice an even share and more is one colour

    /// <summary>Draws loads, [rows, columns] of at least 2 × 2, over an extent; row 0 is at the bottom, and what is no number is grey.</summary>
    public static void Add(Plot plot, double[,] loads, CoordinateRect extent)
    {
        var heat = plot.Add.Heatmap(loads);
        heat.Colormap = new LoadColours();
        heat.ManualRange = new(0, Fullest);
        heat.Rectangle = extent;
        heat.FlipVertically = true;
        heat.NaNCellColor = Color.FromHex("#bdbdbd"); // not the white of an even load
        var bar = plot.Add.ColorBar(heat);
        (bar.Label, bar.LabelStyle.FontSize, bar.LabelStyle.FontName) = ("load (1 = even)", 14, PlotFonts.Family);
        bar.Axis.TickGenerator = new ScottPlot.TickGenerators.NumericManual([0, 0.5, 1, 1.5, 2], ["0", "0.5", "1", "1.5", "2+"]);
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
