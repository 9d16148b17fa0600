using MoeSharp.TestKit;
using MoeSharp.Training;
using SkiaSharp;

namespace MoeSharp.Cli.Tests;

public sealed class PlotLoadCommandTests : IDisposable
{
    private const int RowHeight = 330;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void PlotLoad_TwoRuns_IsARowOfPanelsForEach()
    {
        var image = _folder.File("load.png");

        var tool = CapturedTool.Run("plot-load", Run("starved", share: 0), Run("flooded", share: 1), "--out", image);

        using var pixels = SKBitmap.Decode(image);
        Assert.Equal((ExitCode.Success, $"plot written to {image}\n"), (tool.ExitCode, tool.Output));
        Assert.Equal((PlotFile.Width, 2 * RowHeight), (pixels.Width, pixels.Height));
        Assert.Equal((SKColor.Parse("#053061"), SKColor.Parse("#67001f")), (FirstExpert(pixels, row: 0), FirstExpert(pixels, row: 1)));
    }

    [Fact]
    public void PlotLoad_RunsOfDifferentLayers_LeavesRoomEmpty()
    {
        var image = _folder.File("load.png");

        CapturedTool.Run("plot-load", Run("two", share: 1, layers: 2), Run("one", share: 1), "--out", image);

        using var pixels = SKBitmap.Decode(image);
        Assert.Equal(SKColors.White, pixels.GetPixel(PlotFile.Width * 3 / 4, 3 * RowHeight / 2));
    }

    [Fact]
    public void PlotLoad_FolderWithoutMetrics_SaysSo()
    {
        var tool = CapturedTool.Run("plot-load", _folder.Path, "--out", _folder.File("load.png"));

        Assert.Equal((ExitCode.Usage, $"{_folder.Path} has no metrics.jsonl; give the folders of training runs.\n"), (tool.ExitCode, tool.Error));
    }

    [Theory]
    [InlineData(0, 1, "has 0 steps of 0 MoE layers")]
    [InlineData(2, 5, "has 2 steps of 5 MoE layers")]
    public void PlotLoad_NothingThatFits_SaysWhatThereIs(int steps, int layers, string message)
    {
        var tool = CapturedTool.Run("plot-load", Run("run", share: 1, layers, steps), "--out", _folder.File("load.png"));

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Contains(message, tool.Error, StringComparison.Ordinal);
    }

    /// <summary>A run of two experts, the first with this share of the load.</summary>
    private string Run(string name, double share, int layers = 1, int steps = 3)
    {
        var folder = Directory.CreateDirectory(_folder.File(name)).FullName;
        ScriptedTraining.WriteMetrics(folder, ScriptedTraining.Steps(steps, layers, experts: 2).Select(step => Give(step, share)));
        return folder;
    }

    private static StepCompleted Give(StepCompleted step, double share)
    {
        foreach (var load in step.ExpertLoad) (load[0], load[1]) = (share, 1 - share);
        return step;
    }

    // expert 0 is the lower half of a panel
    private static SKColor FirstExpert(SKBitmap pixels, int row) => pixels.GetPixel(PlotFile.Width / 2, (row + 1) * RowHeight - 100);
}
