using System.Text.Json;
using Iced.Intel;
using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

/// <summary><c>moesharp bench layer</c>: what it reports, not how fast anything is.</summary>
public sealed class BenchLayerTests : IDisposable
{
    private static readonly string[] Fields = ["suite", "shape", "tokens", "dtype", "pass", "engine", "median_ms", "best_ms", "peak_share", "read_share", "slowdown", "rounds"];

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Layer_TinyShape_ReportsEveryEngineAndPassAsATableAndInTheFile()
    {
        string file = _folder.File("layer.json");

        var tool = CapturedTool.Run("bench", "layer", "--shape", "tiny", "--tokens", "16", "--suite", "balanced", "--dtype", "fp32", "--rounds", "2", "--pin", "false", "--json", file);

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        using var report = JsonDocument.Parse(File.ReadAllText(file));
        var results = report.RootElement.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(["version", "machine", "limits", "results"], report.RootElement.EnumerateObject().Select(field => field.Name));
        Assert.Equal(1, report.RootElement.GetProperty("version").GetInt32());
        Assert.Equal(from pass in new[] { "forward", "train" } from engine in LayerEngine.All select $"{pass} {engine.Name}", results.Select(result => $"{result.GetProperty("pass")} {result.GetProperty("engine")}"));
        Assert.All(results, result =>
        {
            Assert.Equal(Fields, result.EnumerateObject().Select(field => field.Name));
            Assert.InRange(result.GetProperty("peak_share").GetDouble(), 1e-6, 1.2);
            Assert.True(result.GetProperty("read_share").GetDouble() > 0);       // of weights in the caches, even above 1
            Assert.InRange(result.GetProperty("best_ms").GetDouble(), 1e-6, result.GetProperty("median_ms").GetDouble());
            Assert.Equal(2, result.GetProperty("rounds").GetInt32());
            Assert.True(result.GetProperty("engine").GetString() != "moesharp" || result.GetProperty("slowdown").GetDouble() == 1);
        });
        Assert.Matches(@"(?m)^tiny +16 +balanced +fp32 +forward +moesharp ", tool.Output);
        Assert.Contains("tiny, fp32, 16 tokens: ", tool.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Layer_OneEngineInBfloat16_ComparesItWithOursAndHasNoShareWithoutTheInstruction()
    {
        var tool = CapturedTool.Run("bench", "layer", "--shape", "tiny", "--tokens", "1", "--suite", "zipf", "--pass", "forward", "--dtype", "bf16", "--engine", "torch-grouped", "--rounds", "1", "--pin", "false", "--json");

        using var report = JsonDocument.Parse(tool.Output);
        var results = report.RootElement.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(["moesharp", "torch-grouped"], results.Select(result => result.GetProperty("engine").GetString()));
        Assert.All(results, result => Assert.Equal(PeakLoop.IsSupported(ProductType.Bf16) ? JsonValueKind.Number : JsonValueKind.Null, result.GetProperty("peak_share").ValueKind));
    }

    [Fact]
    public void Layer_TokensGivenTwice_AreMeasuredOnce()
    {
        var tool = CapturedTool.Run("bench", "layer", "--shape", "tiny", "--tokens", "1,1", "--suite", "zipf", "--pass", "forward", "--dtype", "fp32", "--engine", "moesharp", "--rounds", "1", "--pin", "false", "--json");

        using var report = JsonDocument.Parse(tool.Output);
        Assert.Single(report.RootElement.GetProperty("results").EnumerateArray());
    }

    [Fact]
    public void Layer_Stopped_MeasuresNothingMore()
    {
        using var limits = new LayerLimitMeter();
        var benchmark = new LayerBenchmark(new LayerBenchmarkOptions(), limits, _ => { }, new CancellationToken(canceled: true));

        Assert.Throws<OperationCanceledException>(() => benchmark.Run().Count());
    }

    [Theory]
    [InlineData(nameof(RoutingSuite.Balanced), 32, 32)]
    [InlineData(nameof(RoutingSuite.Zipf), 60, 256)]
    public void Routing_OfASuite_GivesEachTokenDistinctExpertsInItsProportions(string suite, int leastOfBusiest, int mostOfBusiest)
    {
        var shape = new LayerShape("", 1, 1, 64, 8);

        var plan = ForcedRouting.Create(shape, 256, Enum.Parse<RoutingSuite>(suite), seed: 3, requiresGradient: false).Plan;

        Assert.All(plan.Experts.Chunk(8), experts => Assert.Equal(8, experts.Distinct().Count()));
        Assert.InRange(plan.Offsets.Zip(plan.Offsets.Skip(1), (from, to) => to - from).Max(), leastOfBusiest, mostOfBusiest);
    }

    [Theory]
    [InlineData("SystemV", "dec rdi")]
    [InlineData("Windows", "dec rcx")]
    public void PeakOfBfloat16_AnyConvention_IsOneLoopOfChainsInRegistersThatNobodyKeeps(string convention, string countsDown)
    {
        var decoder = Decoder.Create(64, BFloat16Chains.Emit(Enum.Parse<CallConvention>(convention)));
        var code = new List<string>();
        while (decoder.IP < 16 * 6 + 14 * 6 + 16 && code.LastOrDefault() != "ret") code.Add(decoder.Decode().ToString());

        Assert.Equal(14, code.Count(line => line.StartsWith("vdpbf16ps", StringComparison.Ordinal)));
        Assert.All(code.Where(line => line.Contains("zmm", StringComparison.Ordinal)), line => Assert.Matches(@"^\w+ zmm(1[6-9]|2\d|3[01]),", line));
        Assert.Contains(countsDown, code);
        Assert.Equal("ret", code[^1]);
    }

    public void Dispose() => _folder.Dispose();
}
