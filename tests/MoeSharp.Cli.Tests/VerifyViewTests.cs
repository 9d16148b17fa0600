using System.Text.Json;
using MoeSharp.TestKit;
using MoeSharp.Training;

namespace MoeSharp.Cli.Tests;

public sealed class VerifyViewTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Verify_EverythingHolds_ShowsTheClosestCallsOnly()
    {
        Case("a");

        var tool = Run([.. Enumerable.Range(1, 7).Select(index => new VerifyRow($"layer.{index}", [2, 3], index * 1e-6, 1e-5))]);

        Assert.Equal(0, tool.ExitCode);
        Assert.Equal($"""
            {_folder.File("a")} (model): holds, 7 of 7 tensors
            tensor   shape   relative error   limit  verdict
            layer.7  [2, 3]          7.0e-6  1.0e-5  holds
            layer.6  [2, 3]          6.0e-6  1.0e-5  holds
            layer.5  [2, 3]          5.0e-6  1.0e-5  holds
            layer.4  [2, 3]          4.0e-6  1.0e-5  holds
            layer.3  [2, 3]          3.0e-6  1.0e-5  holds
              and 2 more that hold; --verbose shows them
              not checked: unused

            1 case: 1 hold

            """, tool.Output);
    }

    [Fact]
    public void Verify_Verbose_ShowsEveryRowInOrder()
    {
        Case("a");

        var tool = Run([.. Enumerable.Range(1, 7).Select(index => new VerifyRow($"layer.{index}", [2], 1e-6, 1e-5))], "--verbose");

        Assert.Equal(Enumerable.Range(1, 7).Select(index => $"layer.{index}"), tool.Output.Split('\n').Where(line => line.StartsWith("layer.", StringComparison.Ordinal)).Select(line => line[..7]));
    }

    [Fact]
    public void Verify_SomethingDiffers_ShowsItFirstAndFails()
    {
        Case("a");

        var tool = Run([new("close", [1], 9e-6, 1e-5), new("far", [1], 1, 1e-5), new("not a number", [1], double.NaN, 1e-5)]);

        var lines = tool.Output.Split('\n');
        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.EndsWith("(model): DIFFERS in 2 of 3 tensors", lines[0], StringComparison.Ordinal);
        Assert.Equal(["not a number", "far", "close"], lines[2..5].Select(line => line.Split('[')[0].TrimEnd()));
        Assert.EndsWith("DIFFERS", lines[2], StringComparison.Ordinal);
        Assert.Contains("1 case: 0 hold, 1 differ\n", tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_UnreadableCase_GoesOnWithTheOthersAndExitsWith2()
    {
        Case("a");
        Case("inner/b");

        var tool = CapturedTool.Run(Engine(path => path.EndsWith('a') ? throw new MoeException("broken header") : new(path, "model", [], [])), "verify", _folder.Path);

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Equal("broken header\n", tool.Error);
        Assert.Contains($"{_folder.File("a")}: UNREADABLE\n", tool.Output, StringComparison.Ordinal);
        Assert.EndsWith("2 cases: 1 hold, 1 unreadable\n", tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_Json_IsOneObjectWithEveryCaseAndRow()
    {
        Case("a");

        var tool = Run([new("far", [2, 3], 1, 0.5)], "--json");

        var json = JsonDocument.Parse(tool.Output).RootElement;
        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.Equal((1, false), (json.GetProperty("version").GetInt32(), json.GetProperty("passed").GetBoolean()));
        var row = json.GetProperty("cases")[0].GetProperty("report").GetProperty("rows")[0];
        Assert.Equal("""{"tensor":"far","shape":[2,3],"error":1,"limit":0.5,"passed":false}""", row.GetRawText());
    }

    public void Dispose() => _folder.Dispose();

    private void Case(string name)
    {
        Directory.CreateDirectory(_folder.File(name));
        File.WriteAllText(Path.Combine(_folder.File(name), "expected.safetensors"), "");
    }

    private CapturedTool Run(VerifyRow[] rows, params string[] options) => CapturedTool.Run(Engine(path => new(path, "model", rows, ["unused"])), ["verify", _folder.Path, .. options]);

    private static Engine Engine(Func<string, VerifyReport> verify) => new() { Verify = (path, _) => verify(path) };
}
