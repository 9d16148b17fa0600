using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

/// <summary><c>moesharp bench table</c>: results in documents.</summary>
public sealed class BenchTableTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("README.md")]
    [InlineData("docs/benchmarks.md")]
    public void Table_OfADocumentOfOurs_IsThatOfTheCommittedResults(string document)
    {
        string file = Path.Combine(Fixtures.RepositoryRoot, document), copy = _folder.File(document);
        CopyTo(copy, file);
        foreach (string report in Directory.EnumerateFiles(Path.Combine(Fixtures.RepositoryRoot, "benchmarks", "results"), "*.json"))
        {
            CopyTo(_folder.File(Path.GetRelativePath(Fixtures.RepositoryRoot, report)), report);
        }

        var tool = CapturedTool.Run("bench", "table", "--into", copy);

        Assert.Equal((ExitCode.Success, "", ""), (tool.ExitCode, tool.Output, tool.Error));
        Assert.True(File.ReadAllText(copy) == File.ReadAllText(file), $"The tables differ from the results. Write them anew with: moesharp bench table --into {document}");
    }

    [Fact]
    public void Table_OfADocument_GoesBetweenItsComments()
    {
        Report("layer.json");
        string document = Document("before\n<!-- moesharp bench table layer.json -->\nold\n<!-- end of table -->\nafter\n");

        var tool = CapturedTool.Run("bench", "table", "--into", document);

        Assert.Equal((ExitCode.Success, "", ""), (tool.ExitCode, tool.Output, tool.Error));
        Assert.Equal("""
            before
            <!-- moesharp bench table layer.json -->
            P (AVX2), 2 threads, pinned, 2026-11-28, zipf; A 1, B 2; fp32 100 GFLOPS (best 110), reads 20.0 GB/s (best 21.5). ms, of peak and of read are MoeSharp's, the other engines' times multiples of it; medians of 3 to 9 rounds.

            | shape | tokens | type | pass | ms | of peak | of read | torch-loop | other-int4 |
            | --- | --: | --- | --- | --: | --: | --: | --: | --: |
            | tiny | 16 | fp32 | forward | 1.23 | 50 % | 25 % | 2.03× | 0.41× |
            | tiny | 16 | bf16 | train | 100 |  | 25 % |  |  |
            <!-- end of table -->
            after

            """.ReplaceLineEndings("\n"), File.ReadAllText(document));
    }

    [Fact]
    public void Table_OfSomeRows_NamesOnceWhatTheyShare()
    {
        var tool = CapturedTool.Run("bench", "table", Report("layer.json"), "--pass", "train", "--tokens", "16", "--suite", "zipf", "--shape", "tiny");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.Contains(", 2026-11-28, zipf, bf16, train; ", tool.Output, StringComparison.Ordinal);
        Assert.EndsWith("; medians of 3 rounds.\n\n| shape | tokens | ms | of peak | of read |\n| --- | --: | --: | --: | --: |\n| tiny | 16 | 100 |  | 25 % |\n", tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Table_OfRowsThatAreNotThere_SaysSo()
    {
        var tool = CapturedTool.Run("bench", "table", Report("layer.json"), "--tokens", "1");

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.StartsWith("No result is of that shape, number of tokens, routing and pass.", tool.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "is no report of bench layer: ")]
    [InlineData("""{"version":2}""", "is no report of bench layer")]
    public void Table_OfAnotherFile_SaysThatItIsNone(string text, string message)
    {
        string file = _folder.File("other.json");
        File.WriteAllText(file, text);

        var tool = CapturedTool.Run("bench", "table", file);

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.StartsWith($"{file} {message}", tool.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nothing\n", ExitCode.Failure, "page.md has no place for a table; put a line '<!-- moesharp bench table FILE -->'")]
    [InlineData("<!-- moesharp bench table layer.json -->\n", ExitCode.Failure, "page.md: a line '<!-- end of table -->' is missing after '<!-- moesharp bench table layer.json -->'.")]
    [InlineData("<!-- moesharp bench table layer.json --pas train -->\n<!-- end of table -->\n", ExitCode.Usage, "Unknown option '--pas'. Did you mean '--pass'?")]
    public void Table_DocumentWithAWrongPlace_SaysWhatIsWrong(string text, int exitCode, string message)
    {
        Report("layer.json");
        string document = Document(text);

        var tool = CapturedTool.Run("bench", "table", "--into", document);

        Assert.Equal(exitCode, tool.ExitCode);
        Assert.Contains(message, tool.Error, StringComparison.Ordinal);
        Assert.Equal(text, File.ReadAllText(document));
    }

    [Theory]
    [InlineData]
    [InlineData("layer.json", "--into", "page.md")]
    public void Table_NeitherOrBothOfReportAndDocument_IsWrongUsage(params string[] words)
    {
        var tool = CapturedTool.Run(["bench", "table", .. words]);

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Contains("bench table takes either the FILE of a report, or --into and a document", tool.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static void CopyTo(string copy, string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
        File.Copy(file, copy);
    }

    private string Document(string text)
    {
        string file = _folder.File("page.md");
        File.WriteAllText(file, text);
        return file;
    }

    private string Report(string name)
    {
        string file = _folder.File(name);
        File.WriteAllText(file, """
            {"version":1,"machine":{"processor":"P","cores":4,"vectors":"AVX2","operating_system":"O","runtime":"R","libraries":["A 1","B 2"],"threads":2,"pinned":true,"date":"2026-11-28"},
             "limits":{"fp32_gflops":{"median":100,"best":110},"bf16_gflops":null,"read_gbs":{"median":20,"best":21.5}},
             "results":[
              {"suite":"zipf","shape":"tiny","tokens":16,"dtype":"fp32","pass":"forward","engine":"moesharp","median_ms":1.234567,"best_ms":1,"peak_share":0.5,"read_share":0.25,"slowdown":1,"rounds":9},
              {"suite":"zipf","shape":"tiny","tokens":16,"dtype":"fp32","pass":"forward","engine":"torch-loop","median_ms":2.5,"best_ms":2,"peak_share":0.2,"read_share":0.1,"slowdown":2.026,"rounds":9},
              {"suite":"zipf","shape":"tiny","tokens":16,"dtype":"w4a8","pass":"forward","engine":"other-int4","median_ms":0.5,"best_ms":0.4,"peak_share":null,"read_share":0.1,"slowdown":0.405,"rounds":9},
              {"suite":"zipf","shape":"tiny","tokens":16,"dtype":"bf16","pass":"train","engine":"moesharp","median_ms":100.4,"best_ms":1,"peak_share":null,"read_share":0.25,"slowdown":1,"rounds":3}]}
            """);
        return file;
    }
}
