namespace MoeSharp.Readme.Tests;

public class ReadmeTests
{
    public static TheoryData<string> Files { get; } = [.. MarkdownSamples.Files()];

    [Theory, MemberData(nameof(Files))]
    public void Samples_InAMarkdownFile_Compile(string file)
    {
        var complaints = MarkdownSamples.In(file).SelectMany(SampleCompiler.Complaints);

        Assert.Empty(complaints);
    }

    [Fact]
    public void Samples_InAllFiles_AreFound() => Assert.NotEmpty(MarkdownSamples.Files().SelectMany(MarkdownSamples.In));

    [Fact]
    public void Sample_WithAFault_IsRefusedWithItsLine()
    {
        var complaints = SampleCompiler.Complaints(new Sample("docs/x.md", 10, "var options = 1;\noptions.Validate();"));

        Assert.Equal("docs/x.md(11): CS1061 'int' does not contain a definition for 'Validate'", Assert.Single(complaints).Split(" and ")[0]);
    }
}
