using MoeSharp.Training;
using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>The loss of every step, raw and smoothed, over the held-out bits per byte.</summary>
internal static class LossPlot
{
    private static readonly Color Raw = Color.FromHex("#9ecae1");
    private static readonly Color Smooth = Color.FromHex("#08519c");
    private static readonly Color HeldOut = Color.FromHex("#d94801");

    public static Multiplot Draw(IReadOnlyList<StepCompleted> steps)
    {
        var figure = new Multiplot();
        DrawLoss(figure.Subplots.GetPlot(0), steps); // a figure starts with one plot

        var measured = steps.Where(step => step.HeldOutBitsPerByte is not null).ToArray();
        if (measured.Length == 0) return figure;

        var lower = new Plot();
        figure.Subplots.Add(lower);
        DrawHeldOut(lower, measured);
        var layout = new ScottPlot.MultiplotLayouts.CustomGrid();
        layout.Set(figure.Subplots.GetPlot(0), GridCell(0, 3, rowSpan: 2));
        layout.Set(lower, GridCell(2, 3, rowSpan: 1));
        figure.Layout = layout;
        foreach (var plot in figure.Subplots.GetPlots()) plot.Axes.SetLimitsX(0, 1.01 * steps[^1].Step);

        return figure;
    }

    private static GridCell GridCell(int row, int rows, int rowSpan) => new(row, 0, rows, 1, rowSpan, 1);

    private static void DrawLoss(Plot plot, IReadOnlyList<StepCompleted> steps)
    {
        double[] xs = [.. steps.Select(step => (double)step.Step)];
        double[] losses = [.. steps.Select(step => step.Loss)];
        var raw = plot.Add.ScatterLine(xs, losses, Raw);
        raw.LegendText = "training loss of each step";
        var smooth = plot.Add.ScatterLine(xs, Smoothed(losses), Smooth);
        (smooth.LegendText, smooth.LineWidth) = ("smoothed", 2.5f);

        PlotStyle.Apply(plot, "Training loss", "step", "nats per token");
        plot.ShowLegend(Alignment.UpperRight);
    }

    private static void DrawHeldOut(Plot plot, IReadOnlyList<StepCompleted> measured)
    {
        var line = plot.Add.Scatter(measured.Select(step => (double)step.Step).ToArray(), measured.Select(step => step.HeldOutBitsPerByte!.Value).ToArray(), HeldOut); // filtered above
        (line.LineWidth, line.MarkerSize) = (2.5f, 8);

        PlotStyle.Apply(plot, "Held-out text", "step", "bits per byte");
    }

    /// <summary>The mean of the steps around each, a fiftieth of the run wide: centred, so that it does not lag behind a fall.</summary>
    internal static double[] Smoothed(IReadOnlyList<double> values)
    {
        var halfWidth = Math.Max(1, values.Count / 100);
        var smoothed = new double[values.Count];
        for (var i = 0; i < values.Count; i++)
        {
            var reach = Math.Min(halfWidth, Math.Min(i, values.Count - 1 - i)); // as far to the left as to the right
            for (var j = i - reach; j <= i + reach; j++) smoothed[i] += values[j] / (2 * reach + 1);
        }

        return smoothed;
    }
}
