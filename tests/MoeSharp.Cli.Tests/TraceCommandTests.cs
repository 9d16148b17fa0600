using System.Text.Json;
using MoeSharp.TestKit;
using SkiaSharp;

namespace MoeSharp.Cli.Tests;

public sealed class TraceCommandTests : IDisposable
{
    private static readonly RoutingTraceHeader Header = new("train runs/default", [new(0, 4, 2), new(2, 3, 1)]) { Metadata = new Dictionary<string, string> { ["seed"] = "7" } };

    private static readonly RoutingTraceEntry[] Entries =
    [
        Entry(0, 0, 2, [0, 1, 2, 0, 0, 3], [0.75f, 0.25f, 0.5f, 0.5f, 0.625f, 0.375f]),
        Entry(0, 2, 1, [2, 2, 0], [1, 1, 1]),
        Entry(1, 0, 2, [1, 0, 1, -1, 0, 1], [0.75f, 0.25f, 1, 0, 0.5f, 0.5f], [false, true, false, false, false, false]),
    ];

    private readonly TemporaryFolder _folder = new();

    public TraceCommandTests() => Write("run.trace", Header, Entries);

    private string Trace => _folder.File("run.trace");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Show_AStep_IsATableOfItsTokens()
    {
        var tool = CapturedTool.Run("trace", "show", Trace, "--layer", "0");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.Empty(tool.Error);
        Assert.Equal("""
            train runs/default

            step 0, layer 0: 1 sequence of 3 tokens
            token  experts  weights
                0  0 1      0.7500 0.2500
                1  2 0      0.5000 0.5000
                2  0 3      0.6250 0.3750

            step 1, layer 0: 1 sequence of 3 tokens
            token  experts  weights        dropped by
                0  1 0      0.7500 0.2500  0
                1  1 -      1.0000 -
                2  0 1      0.5000 0.5000

            """, tool.Output);
    }

    [Theory]
    [InlineData("--step 0 --layer 2", "0 2: 0 1 2")]
    [InlineData("--tokens 1..1", "0 0: 1; 0 2: 1; 1 0: 1")]
    [InlineData("--tokens 2..9 --step 1", "1 0: 2")]
    [InlineData("--tokens 3..9", "")]
    [InlineData("--limit 4", "0 0: 0 1 2; 0 2: 0")]
    [InlineData("--limit 3", "0 0: 0 1 2")]
    [InlineData("--limit 0", "0 0: 0 1 2; 0 2: 0 1 2; 1 0: 0 1 2")]
    public void Show_Selection_GivesThoseTokens(string options, string tokens)
    {
        var json = Json("trace", "show", Trace, "--json", options);

        var shown = json.GetProperty("entries").EnumerateArray().Select(entry =>
            $"{entry.GetProperty("step")} {entry.GetProperty("layer")}: {string.Join(' ', entry.GetProperty("tokens").EnumerateArray().Select(token => token.GetProperty("token")))}");
        Assert.Equal(tokens, string.Join("; ", shown));
        Assert.Equal(options is "--limit 4" or "--limit 3", json.GetProperty("has_more").GetBoolean());
    }

    [Fact]
    public void Show_MoreThanTheLimit_SaysSo()
    {
        Assert.Equal("These are the first 3 tokens; --limit N shows more, --limit 0 all.\n", CapturedTool.Run("trace", "show", Trace, "--limit", "3").Error);
        Assert.Empty(CapturedTool.Run("trace", "show", Trace, "--limit", "9").Error);
        Assert.Equal("No token of the trace is selected.\n", CapturedTool.Run("trace", "show", Trace, "--tokens", "5..9").Error);
    }

    [Fact]
    public void Show_Json_HasTheHeaderAndEveryField()
    {
        var json = Json("trace", "show", Trace, "--json", "--step 1 --tokens 1..1");

        Assert.Equal("""{"version":1,"source":"train runs/default","complete":true,"metadata":{"seed":"7"},"layers":[{"layer":0,"expert_count":4,"top_k":2},{"layer":2,"expert_count":3,"top_k":1}],"entries":[{"step":1,"layer":0,"sequences":1,"sequence_length":3,"tokens":[{"token":1,"experts":[1,-1],"weights":[1,0],"dropped":[false,false]}]}],"has_more":false}""", json.GetRawText());
    }

    [Fact]
    public void Show_LayerThatIsNotThere_NamesThoseThatAre()
    {
        var tool = CapturedTool.Run("trace", "show", Trace, "--layer", "1");

        Assert.Equal((ExitCode.Usage, "--layer is 1; the trace has layers 0, 2.\n"), (tool.ExitCode, tool.Error));
    }

    [Fact]
    public void Show_StepThatIsNotThere_SaysWhichAre()
    {
        Write("one.trace", Header, [Entries[2]]);
        Write("empty.trace", Header, []);

        AssertRefused("the trace has 2 steps, from 0 to 1.", "run.trace");
        AssertRefused("the trace has step 1 alone.", "one.trace");
        AssertRefused("the trace has no steps.", "empty.trace");

        void AssertRefused(string message, string file)
        {
            var tool = CapturedTool.Run("trace", "show", _folder.File(file), "--step", "99");

            Assert.Equal((ExitCode.Usage, "", $"--step is 99; {message}\n"), (tool.ExitCode, tool.Output, tool.Error));
        }
    }

    [Fact]
    public void Show_AFolder_SaysThatItIsOne()
    {
        var tool = CapturedTool.Run("trace", "show", _folder.Path);

        Assert.Equal((ExitCode.Failure, $"{_folder.Path}: the file cannot be read: it is a folder.\n"), (tool.ExitCode, tool.Error));
    }

    [Fact]
    public void Stats_IsATableOfTheLayers()
    {
        var tool = CapturedTool.Run("trace", "stats", Trace);

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.Equal("""
            train runs/default

            layer  experts  entries  tokens  max/mean  variation  dead  dropped  first weight         entropy
                0        4        2       6      1.82       0.65     0     9.1%         0.688  1.162 of 1.386
                2        3        1       3      2.00       0.82     1     0.0%         1.000  0.637 of 1.099

            """, tool.Output);
    }

    [Fact]
    public void Stats_Json_HasTheLoadOfEveryExpert()
    {
        var layer = Json("trace", "stats", Trace, "--json").GetProperty("layers")[0];

        Assert.Equal(["layer", "expert_count", "top_k", "entries", "tokens", "choices", "load", "largest_over_mean", "load_variation", "dead_experts", "dropped", "dropped_share", "first_choice_weight", "load_entropy"], layer.EnumerateObject().Select(field => field.Name));
        Assert.Equal("[5,4,1,1]", layer.GetProperty("load").GetRawText());
    }

    [Fact]
    public void Stats_LayerWithoutTokens_HasDashesForWhatIsUnknown()
    {
        Write("empty.trace", Header, []);

        var tool = CapturedTool.Run("trace", "stats", _folder.File("empty.trace"));

        Assert.EndsWith("-             -        -\n", tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Stats_Plot_IsDarkBlueWhereAnExpertStarvesAndRedWhereOneIsFlooded()
    {
        var plot = _folder.File("load.png");
        Write("one.trace", new("test", [new(0, 2, 1), new(1, 2, 1)]), [Entry(0, 0, 1, [0, 0], [1, 1]), Entry(0, 1, 1, [1, 1], [1, 1])]);

        var tool = CapturedTool.Run("trace", "stats", _folder.File("one.trace"), "--plot", plot);

        using var image = SKBitmap.Decode(plot);
        var (left, right, upper, lower) = (PlotFile.Width / 4, PlotFile.Width * 5 / 8, image.Height / 4, image.Height * 5 / 8);
        var (blue, red) = (SKColor.Parse("#053061"), SKColor.Parse("#67001f"));
        Assert.EndsWith($"plot written to {plot}\n", tool.Output, StringComparison.Ordinal);
        Assert.Equal((PlotFile.Width, TraceLoadPlot.LeastHeight), (image.Width, image.Height));
        Assert.Equal((red, blue, blue, red), (image.GetPixel(left, lower), image.GetPixel(right, lower), image.GetPixel(left, upper), image.GetPixel(right, upper)));
    }

    [Fact]
    public void Stats_PlotOfALayerWithFewerExperts_IsGreyWhereThereIsNone()
    {
        var plot = _folder.File("load.png");
        Write("few.trace", new("test", [new(0, 1, 1), new(1, 2, 1)]), [Entry(0, 0, 1, [0], [1]), Entry(0, 1, 1, [0, 1], [1, 1])]);

        CapturedTool.Run("trace", "stats", _folder.File("few.trace"), "--plot", plot);

        using var image = SKBitmap.Decode(plot);
        Assert.Equal((SKColor.Parse("#f7f7f7"), SKColor.Parse("#bdbdbd")), (image.GetPixel(PlotFile.Width / 4, image.Height * 5 / 8), image.GetPixel(PlotFile.Width * 5 / 8, image.Height * 5 / 8)));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 300)]
    [InlineData(60, 8)]
    public void Stats_PlotOfOtherSizes_IsDrawn(int layers, int experts)
    {
        var plot = _folder.File("load.png");
        Write("other.trace", new("test", [.. Enumerable.Range(0, layers).Select(layer => new RoutingTraceLayer(layer, Math.Max(1, experts - layer % 3), 1))]), [Entry(0, 0, 1, [0], [1])]);

        var tool = CapturedTool.Run("trace", "stats", _folder.File("other.trace"), "--json", "--plot", plot);

        using var image = SKBitmap.Decode(plot);
        Assert.Equal((ExitCode.Success, PlotFile.Width), (tool.ExitCode, image.Width));
    }

    [Fact]
    public void Diff_OfEqualTraces_ExitsWith0()
    {
        Write("other.trace", Header with { Source = "another run" }, [Entries[1], Entries[0], Entries[2]]);

        var tool = Diff("other.trace");

        Assert.Equal((ExitCode.Success, "equal: 3 entries and 9 tokens compared\n"), (tool.ExitCode, tool.Output));
    }

    [Fact]
    public void Diff_OfOtherTraces_CountsAndShowsTheFirstDifference()
    {
        Write("other.trace", Header, [Entries[0], Entry(0, 2, 1, [2, 1, 0], [1, 1, 0.5f]), Entry(1, 0, 2, [0, 1], [0.5f, 0.5f])]);

        var tool = Diff("other.trace");

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.Equal("""
            DIFFERENT: 2 entries and 6 tokens compared
              step 1, layer 0 has the shape 1 × 3 × 2 in the first trace, 1 × 1 × 2 in the second
              tokens with other experts: 1 of 6
              weights that differ: 1 of 8, by 0.5000 at most
              dropped in one only: 0 of 8
              first: step 0, layer 2, token 1
                A: experts 2, weights 1.0000
                B: experts 1, weights 1.0000

            """, tool.Output);
    }

    [Fact]
    public void Diff_Json_IsOneObject()
    {
        Write("other.trace", Header, [Entries[0], Entry(0, 2, 1, [2, 1, 0], [1, 1, 1]), Entries[2]]);

        var tool = Diff("other.trace", "--json");

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.Equal("""{"version":1,"equal":false,"entries":3,"tokens":9,"tokens_with_other_experts":1,"shared_choices":13,"weights_that_differ":0,"largest_weight_difference":0,"dropped_in_one_only":0,"first_difference":{"step":0,"layer":2,"entry":0,"token":1,"first":{"experts":[2],"weights":[1],"dropped":[false]},"second":{"experts":[1],"weights":[1],"dropped":[false]}},"mismatch_count":0,"mismatches":[]}""" + "\n", tool.Output);
    }

    [Fact]
    public void Diff_WithATraceThatCannotBeRead_ExitsWith2()
    {
        File.WriteAllText(_folder.File("other.trace"), "no trace, but longer than its start");

        var tool = Diff("other.trace");

        Assert.Equal((ExitCode.Usage, $"{_folder.File("other.trace")}: The file is no routing trace: it does not start with 'MOETRACE'.\n", ""), (tool.ExitCode, tool.Error, tool.Output));
    }

    [Theory]
    [InlineData("show")]
    [InlineData("stats")]
    public void Trace_OfARunThatWasCutOff_NeedsToBeAskedFor(string command)
    {
        File.WriteAllBytes(Trace, File.ReadAllBytes(Trace)[..^20]);

        var (refused, read) = (CapturedTool.Run("trace", command, Trace), CapturedTool.Run("trace", command, Trace, "--partial"));

        Assert.Equal(ExitCode.Failure, refused.ExitCode);
        Assert.StartsWith($"{Trace}: record 2 (at byte ", refused.Error, StringComparison.Ordinal);
        Assert.EndsWith("read the file as a partial trace (moesharp trace: --partial).\n", refused.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Success, read.ExitCode);
        Assert.StartsWith("train runs/default (cut off)\n", read.Output, StringComparison.Ordinal);
    }

    private CapturedTool Diff(string other, params string[] options) => CapturedTool.Run(["trace", "diff", Trace, _folder.File(other), .. options]);

    private static JsonElement Json(string command, string verb, string file, string json, string options = "")
    {
        var tool = CapturedTool.Run([command, verb, file, json, .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

        Assert.True(tool.ExitCode == ExitCode.Success, tool.Error);
        return JsonDocument.Parse(tool.Output).RootElement;
    }

    private void Write(string name, RoutingTraceHeader header, RoutingTraceEntry[] entries)
    {
        using var writer = new RoutingTraceWriter(_folder.File(name), header);
        foreach (var entry in entries) writer.Append(entry);
        writer.Complete();
    }

    private static RoutingTraceEntry Entry(long step, int layer, int width, int[] experts, float[] weights, bool[]? dropped = null) => new()
    {
        Step = step,
        Layer = layer,
        Sequences = 1,
        SequenceLength = experts.Length / width,
        Width = width,
        Experts = experts,
        Weights = weights,
        Dropped = dropped,
    };
}
