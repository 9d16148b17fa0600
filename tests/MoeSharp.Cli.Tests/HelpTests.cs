namespace MoeSharp.Cli.Tests;

/// <summary>The help of every command, word for word: what users read changes only on purpose.</summary>
public sealed class HelpTests
{
    [Theory]
    [InlineData("")]
    [InlineData("train")]
    [InlineData("generate")]
    [InlineData("verify")]
    [InlineData("inspect")]
    [InlineData("convert")]
    [InlineData("trace")]
    [InlineData("trace show")]
    [InlineData("trace stats")]
    [InlineData("trace diff")]
    [InlineData("plot-load")]
    [InlineData("tokenizer")]
    [InlineData("tokenizer train")]
    [InlineData("tokenizer encode")]
    [InlineData("tokenizer decode")]
    [InlineData("bench")]
    [InlineData("bench layer")]
    [InlineData("bench router")]
    [InlineData("bench steps")]
    [InlineData("bench load")]
    [InlineData("bench table")]
    [InlineData("kernels")]
    [InlineData("completions")]
    public void Help_OfACommand_IsItsSnapshot(string command)
    {
        var tool = CapturedTool.Run([.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--help"]);

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.Empty(tool.Error);
        Snapshot.Assert($"help{command.Replace(' ', '-').Insert(0, command.Length > 0 ? "-" : "")}.txt", tool.Output);
    }

    [Fact]
    public void Help_WithOtherOptionsThatAreWrong_IsShownAllTheSame()
    {
        var tool = CapturedTool.Run("train", "--steps", "ten", "--help");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.StartsWith("Train a Mixture-of-Experts language model on text.", tool.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("train")]
    [InlineData("generate")]
    [InlineData("verify")]
    [InlineData("inspect")]
    [InlineData("convert")]
    [InlineData("trace show")]
    [InlineData("trace stats")]
    [InlineData("trace diff")]
    [InlineData("plot-load")]
    [InlineData("tokenizer train")]
    [InlineData("bench layer")]
    [InlineData("bench router")]
    [InlineData("bench steps")]
    [InlineData("bench load")]
    [InlineData("bench table")]
    [InlineData("kernels")]
    [InlineData("completions")]
    public void Help_OfACommand_FitsItsWidth(string command)
    {
        var lines = CapturedTool.Run([.. command.Split(' '), "--help"]).Output.Split('\n');

        Assert.All(lines.TakeWhile(line => line != "Examples:"), line => Assert.True(line.Length <= 100, line)); // examples are there to be copied: never broken
    }
}
