using System.Text.Json;

namespace MoeSharp.Cli.Tests;

/// <summary><c>moesharp bench load</c>: what it reports, not how fast anything is.</summary>
public sealed class BenchLoadTests
{
    private static readonly string[] Fields = ["format", "rows", "columns", "packed_bytes", "output_gbs", "read_write_share", "speedup", "obvious"];

    [Fact]
    public void Load_SomeFormats_ReportsEachBesideTheObviousWayAndTheLeast()
    {
        var tool = CapturedTool.Run("bench", "load", "--format", "int4,gguf-q6_k", "--rows", "256", "--rounds", "1", "--json");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        using var report = JsonDocument.Parse(tool.Output);
        Assert.Equal(["version", "machine", "decoders", "experts"], report.RootElement.EnumerateObject().Select(field => field.Name));
        var results = report.RootElement.GetProperty("decoders").EnumerateArray().ToArray();
        Assert.Equal(["int4", "gguf-q6_k"], results.Select(result => result.GetProperty("format").GetString()));
        Assert.Equal(["loop", "formula"], results.Select(result => result.GetProperty("obvious").GetString()));
        Assert.All(results, result =>
        {
            Assert.Equal(Fields, result.EnumerateObject().Select(field => field.Name));
            Assert.All((string[])["output_gbs", "read_write_share", "speedup"], field => Assert.True(result.GetProperty(field).GetDouble() > 0));
        });
    }

    [Fact]
    public void ExpertLoad_EachPrecision_IsMeasuredBesideThePlainReadAndCopy()
    {
        var results = new ExpertLoadBenchmark(rounds: 1).Run(CancellationToken.None).ToArray();

        Assert.Equal(["fp32", "bf16"], results.Select(result => result.Precision));
        Assert.All(results, result => Assert.True(result is { FreshGbs: > 0, FreshReadShare: > 0, AgainGbs: > 0, AgainReadShare: > 0, AgainCopyShare: > 0, Bytes: > 0 }));
    }

    [Fact]
    public void Load_EveryFormat_DecodesWhatTheObviousWayDecodes()
    {
        const int Rows = 128, Columns = 256;
        foreach (var format in DecoderCase.All)
        {
            var weight = format.Create(Rows, Columns, new Random(1));
            float[] decoded = new float[Rows * Columns], obvious = new float[Rows * Columns];
            weight.Matrix.Decode(0, Rows, decoded);

            if (weight.ObviousLoop is { } loop) loop(0, obvious);
            else for (int i = 0; i < obvious.Length; i++) obvious[i] = weight.Matrix.Value(i / Columns, i % Columns);

            Assert.Equal(obvious, decoded);
        }
    }
}
