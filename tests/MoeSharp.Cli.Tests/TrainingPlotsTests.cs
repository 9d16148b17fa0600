using System.Buffers.Binary;
using MoeSharp.TestKit;
using MoeSharp.Training;
using SkiaSharp;

namespace MoeSharp.Cli.Tests;

public sealed class TrainingPlotsTests
{
    private static readonly byte[] PngSignature = [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a];

    [Theory]
    [InlineData(1, 420)]
    [InlineData(4, 840)]
    [InlineData(5, 1260)]
    public void Write_Layers_GivesAPanelToEach(int layers, int height)
    {
        using var folder = new TemporaryFolder();
        ScriptedTraining.WriteMetrics(folder.Path, ScriptedTraining.Steps(600, layers, experts: 8));

        TrainingPlots.Write(folder.Path);

        Assert.Equal((TrainingPlots.Width, TrainingPlots.LossHeight), SizeOf(folder.File("loss.png")));
        Assert.Equal((TrainingPlots.Width, height), SizeOf(folder.File("expert-load.png")));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 4)]
    [InlineData(600, 8)]
    public void Write_StarvingFirstExpert_IsDarkBlueAtTheBottom(int steps, int experts)
    {
        using var folder = new TemporaryFolder();
        ScriptedTraining.WriteMetrics(folder.Path, ScriptedTraining.Steps(steps, layers: 1, experts).Select(Starve));

        TrainingPlots.Write(folder.Path);

        using var image = SKBitmap.Decode(folder.File("expert-load.png"));
        const int bottomOfPanel = TrainingPlots.PanelHeight - 60; // above the axis and its label
        Assert.Equal(SKColor.Parse("#053061"), image.GetPixel(TrainingPlots.Width / 2, bottomOfPanel));
    }

    [Fact]
    public void Write_LeavesNoPartialFile()
    {
        using var folder = new TemporaryFolder();
        ScriptedTraining.WriteMetrics(folder.Path, ScriptedTraining.Steps(3));

        TrainingPlots.Write(folder.Path);

        Assert.Equal(["expert-load.png", "loss.png", "metrics.jsonl"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Write_LineThatIsNoStep_SaysWhichLine()
    {
        using var folder = new TemporaryFolder();
        ScriptedTraining.WriteMetrics(folder.Path, ScriptedTraining.Steps(2));
        File.AppendAllText(folder.File("metrics.jsonl"), "{\"step\": 3");

        var error = Assert.Throws<MoeException>(() => TrainingPlots.Write(folder.Path));

        Assert.StartsWith($"{folder.File("metrics.jsonl")}, line 3: not the record of a step", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PlotFonts_Install_GivesLettersWithoutAnySystemFont()
    {
        PlotFonts.Install();

        var typeface = ScottPlot.Fonts.GetTypeface(PlotFonts.Family, ScottPlot.FontWeight.Normal, ScottPlot.FontSlant.Upright, ScottPlot.FontSpacing.Normal);

        Assert.Equal("Inter", typeface.FamilyName);
        Assert.True(typeface.ContainsGlyphs("Training loss 0.5, load (1 = even) 2+: -1e-3"));
    }

    [Fact]
    public void Smoothed_StraightFall_DoesNotLagBehind()
    {
        double[] falling = [.. Enumerable.Range(0, 300).Select(step => 8 - 0.01 * step)];

        var smoothed = LossPlot.Smoothed(falling);

        Assert.All(falling.Zip(smoothed), pair => Assert.Equal(pair.First, pair.Second, 9));
    }

    [Fact]
    public void Smoothed_Constant_StaysConstant()
    {
        var smoothed = LossPlot.Smoothed([3, 3, 3, 3]);

        Assert.All(smoothed, value => Assert.Equal(3, value, 12));
    }

    private static StepCompleted Starve(StepCompleted step)
    {
        step.ExpertLoad[0][0] = 0;
        return step;
    }

    private static (int Width, int Height) SizeOf(string png)
    {
        var bytes = File.ReadAllBytes(png);

        Assert.Equal(PngSignature, bytes[..8]);
        return (BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(16)), BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(20)));
    }
}
