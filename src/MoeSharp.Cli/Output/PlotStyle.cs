using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>One look for every plot.</summary>
internal static class PlotStyle
{
    public static void Apply(Plot plot, string title, string x, string y)
    {
        plot.Font.Set(PlotFonts.Family);
        plot.Title(title, 18);
        plot.Axes.Title.Label.Bold = false;
        plot.XLabel(x, 15);
        plot.YLabel(y, 15);
        plot.Axes.Bottom.Label.Bold = false;
        plot.Axes.Left.Label.Bold = false;
        plot.Axes.Bottom.TickLabelStyle.FontSize = 13;
        plot.Axes.Left.TickLabelStyle.FontSize = 13;
        plot.Axes.Bottom.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic { IntegerTicksOnly = true, TickDensity = 0.6 };
        plot.Axes.Right.FrameLineStyle.Width = 0;
        plot.Axes.Top.FrameLineStyle.Width = 0;
        plot.Grid.MajorLineColor = Color.FromHex("#e6e6e6");
        plot.Legend.FontSize = 14;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.Legend.OutlineColor = Color.FromHex("#d0d0d0");
        (plot.Axes.Left.MinimumSize, plot.Axes.Right.MinimumSize) = (70, 25); // panels below each other line up, the last label fits
    }
}
