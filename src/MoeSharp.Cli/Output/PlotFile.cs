using MoeSharp.Checkpoints;
using ScottPlot;

namespace MoeSharp.Cli;

/// <summary>Plots as PNG files, which appear whole or not at all.</summary>
internal static class PlotFile
{
    public const int Width = 1400;

    public static void Save(Multiplot figure, string path, int height)
    {
        using var image = figure.Render(Width, height);
        AtomicFile.Write(path, stream => stream.Write(image.GetImageBytes(ImageFormat.Png)));
    }
}
