using System.Text.Json;

namespace MoeSharp.Cli.Tests;

public sealed class KernelsCommandTests
{
    [Fact]
    public void Kernels_WithoutWishes_ShowsEveryCandidateAndTheFirstThatCanRun()
    {
        var lines = Run().Output.TrimEnd('\n').Split('\n');

        string[] names = [.. lines.Skip(1).TakeWhile(line => line.Length > 0).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1])];
        Assert.Matches("^operation +kernel +can run here +choice$", lines[0]);
        Assert.Subset(names.ToHashSet(), new HashSet<string> { "matmul.f32.avx512", "matmul.f32.scalar", "matmul.bf16.avx512.asm", "matmul.bf16.scalar", "outer.f32.avx512", "outer.f32.scalar" });
        Assert.Equal(["matmul.f32", "matmul.bf16", "outer.f32", "outer.bf16"], lines.Where(line => line.Contains("  chosen: ", StringComparison.Ordinal)).Select(line => line.Split(' ')[0]));
        Assert.Equal(["MOESHARP_KERNEL is not set.", $"MOESHARP_THREADS is not set: {Environment.ProcessorCount} {(Environment.ProcessorCount == 1 ? "thread" : "threads")}."], lines[^2..]);
    }

    [Fact]
    public void Kernels_WithWishes_ShowsThem()
    {
        var tool = Run(("MOESHARP_KERNEL", "matmul.f32.scalar"), ("MOESHARP_THREADS", "1"));

        Assert.Matches(@"\nmatmul\.f32 +matmul\.f32\.scalar +yes +chosen: MOESHARP_KERNEL names it\n", tool.Output);
        Assert.EndsWith("\n\nMOESHARP_KERNEL is 'matmul.f32.scalar'.\nMOESHARP_THREADS is '1': 1 thread.\n", tool.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("MOESHARP_KERNEL", "matmul.f32.scaler", "The environment variable MOESHARP_KERNEL names 'matmul.f32.scaler', which is no kernel. Did you mean 'matmul.f32.scalar'? ")]
    [InlineData("MOESHARP_THREADS", "many", "MOESHARP_THREADS is 'many'; set it to a number of threads from 1 to 1024, or unset it for one per processor.")]
    public void Kernels_AWishThatCannotBe_FailsWithItsMessage(string variable, string value, string message)
    {
        var tool = Run((variable, value));

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.Empty(tool.Output);
        Assert.StartsWith(message, Assert.Single(tool.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public void Kernels_AKernelThatIsNotUsed_IsWarnedOf()
    {
        var listing = new KernelListing(1, [new("a", "a.b", "because", [new("a.c", "is switched off"), new("a.b", null)])], 2, KernelListing.Of(_ => null).Environment, ["a.c is not used."]);

        var tool = CapturedTool.Run(new Engine { Kernels = () => listing }, "kernels");

        Assert.StartsWith("operation  kernel  can run here         choice\na          a.c     no: is switched off\na          a.b     yes                  chosen: because\n", tool.Output, StringComparison.Ordinal);
        Assert.Equal("a.c is not used.\n", tool.Error);
    }

    [Fact]
    public void Json_HasWhatTheTableHas()
    {
        var tool = Run("--json", ("MOESHARP_KERNEL", "outer.f32.scalar"));

        var root = JsonDocument.Parse(tool.Output).RootElement;
        var outer = root.GetProperty("operations").EnumerateArray().Single(operation => operation.GetProperty("operation").GetString() == "outer.f32");
        Assert.Equal(["version", "operations", "threads", "environment", "warnings"], root.EnumerateObject().Select(field => field.Name));
        Assert.Equal(["operation", "chosen", "reason", "candidates"], outer.EnumerateObject().Select(field => field.Name));
        Assert.Equal(("outer.f32.scalar", "MOESHARP_KERNEL names it"), (outer.GetProperty("chosen").GetString(), outer.GetProperty("reason").GetString()));
        Assert.Equal("""{"name":"outer.f32.scalar","obstacle":null}""", outer.GetProperty("candidates").EnumerateArray().Last().GetRawText());
        Assert.Equal("""{"MOESHARP_KERNEL":"outer.f32.scalar","MOESHARP_THREADS":null}""", root.GetProperty("environment").GetRawText());
    }

    [Fact]
    public void Dump_OfAnOuterProductWithAPrefetch_SaysThatThereIsNone()
    {
        var tool = CapturedTool.Run("kernels", "--dump", "outer.bf16.avx512.asm", "--prefetch", "own");

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Contains("--prefetch is 'own', but outer.bf16.avx512.asm fetches nothing ahead", tool.Error, StringComparison.Ordinal);
    }

    /// <summary>Whatever processor this is.</summary>
    [Fact]
    public void Dump_OfAnAssembledKernel_PrintsItsCode()
    {
        var lines = CapturedTool.Run("kernels", "--dump", "matmul.bf16.avx512.asm", "--rows", "1", "--prefetch", "own").Output.TrimEnd('\n').Split('\n');

        Assert.Matches(@"^; matmul\.bf16\.avx512\.asm: 1 row, prefetch own, \d+ bytes$", lines[0]);
        Assert.Contains(lines, line => line.Contains("prefetcht0", StringComparison.Ordinal));
        Assert.Equal(10, lines.Count(line => line.Contains(" vdpbf16ps ", StringComparison.Ordinal)));
        Assert.EndsWith(" ret", lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Dump_WithoutRows_PrintsTheLargestTile()
    {
        var tool = CapturedTool.Run("kernels", "--dump", "matmul.bf16.avx512.asm");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.StartsWith("; matmul.bf16.avx512.asm: 14 rows, prefetch none, ", tool.Output, StringComparison.Ordinal);
    }

    private static CapturedTool Run(params (string Name, string Value)[] variables) => Run(null, variables);

    private static CapturedTool Run(string? option, params (string Name, string Value)[] variables)
    {
        var engine = new Engine { Kernels = () => KernelListing.Of(name => variables.FirstOrDefault(variable => variable.Name == name).Value) };
        return CapturedTool.Run(engine, option is null ? ["kernels"] : ["kernels", option]);
    }
}
