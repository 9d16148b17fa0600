namespace MoeSharp.Cli;

/// <summary>A series as one line of bars.</summary>
internal static class Sparkline
{
    private const string Bars = "▁▂▃▄▅▆▇█";

    /// <summary>At most <paramref name="width"/> bars; where there are more values, a bar is the mean of neighbours. Bounds default to the values' own.</summary>
    public static string Of(IReadOnlyList<double> values, int width, double? lowest = null, double? highest = null)
    {
        var means = Means([.. values.Where(double.IsFinite)], width);
        if (means.Length == 0) return "";

        var (low, high) = (lowest ?? means.Min(), highest ?? means.Max());
        return string.Concat(means.Select(mean => Bars[high > low ? (int)Math.Clamp((mean - low) / (high - low) * Bars.Length, 0, Bars.Length - 1) : 0]));
    }

    private static double[] Means(double[] values, int width)
    {
        if (values.Length <= width) return values;

        var means = new double[width];
        for (var i = 0; i < width; i++)
        {
            var (from, to) = ((int)((long)i * values.Length / width), (int)((long)(i + 1) * values.Length / width));
            means[i] = values[from..to].Average();
        }

        return means;
    }
}
