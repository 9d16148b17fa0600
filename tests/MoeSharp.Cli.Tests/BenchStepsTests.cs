using System.Text.Json;

namespace MoeSharp.Cli.Tests;

/// <summary><c>moesharp bench steps</c>: that its shares are all of a layer's time, not how large any is.</summary>
public sealed class BenchStepsTests
{
    private static readonly string[] Shares = ["gate", "routing", "lay_out", "up", "down", "sum"];

    [Fact]
    public void Steps_OfALayer_AreAllOfItsTime()
    {
        var tool = CapturedTool.Run("bench", "steps", "--shape", "tiny", "--tokens", "16", "--dtype", "fp32", "--rounds", "1", "--json");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        using var report = JsonDocument.Parse(tool.Output);
        var result = Assert.Single(report.RootElement.GetProperty("results").EnumerateArray());
        Assert.Equal(("tiny", 16, "fp32"), (result.GetProperty("shape").GetString(), result.GetProperty("tokens").GetInt32(), result.GetProperty("dtype").GetString()));
        Assert.Equal(1, Shares.Sum(share => result.GetProperty(share).GetDouble()), 1e-9);
        Assert.Equal(result.GetProperty("routing").GetDouble() + result.GetProperty("lay_out").GetDouble() + result.GetProperty("sum").GetDouble(), result.GetProperty("routing_and_permutation").GetDouble(), 1e-9);
    }
}
