using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class RoutingTraceWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.File("run.trace");

    private string Aside => Path + RoutingTraceWriter.PartialSuffix;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Writer_UntilComplete_LeavesTheOldFileInPlace()
    {
        File.WriteAllText(Path, "old");
        using var writer = new RoutingTraceWriter(Path, TraceSamples.SmallHeader);
        writer.Append(TraceSamples.SmallEntries[0]);

        Assert.Equal("old", File.ReadAllText(Path));
        writer.Complete();

        Assert.Single(TraceSamples.Read(Path));
        Assert.Equal([Path], Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Dispose_BeforeComplete_LeavesAPartialTraceAside()
    {
        using (var writer = new RoutingTraceWriter(Path, TraceSamples.SmallHeader)) writer.Append(TraceSamples.SmallEntries[0]);

        Assert.Equal([Aside], Directory.GetFiles(_folder.Path));
        Assert.True(TraceSamples.AreEqual(TraceSamples.SmallEntries[0], Assert.Single(TraceSamples.Read(Aside, allowPartial: true))));
    }

    [Fact]
    public void Dispose_WithoutEntries_LeavesNothing()
    {
        new RoutingTraceWriter(Path, TraceSamples.SmallHeader).Dispose();

        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Append_BeforeAnyFlush_IsOnTheFileAsAWhole()
    {
        using var writer = new RoutingTraceWriter(Path, TraceSamples.SmallHeader);
        long start = new FileInfo(Aside).Length;

        writer.Append(TraceSamples.SmallEntries[0]);

        Assert.Equal(start + RoutingTraceRecord.Encode(TraceSamples.SmallEntries[0], 4).Length, new FileInfo(Aside).Length);
    }

    [Fact]
    public void Append_FromManyThreads_KeepsEveryEntryWhole()
    {
        using (var writer = new RoutingTraceWriter(Path, TraceSamples.SmallHeader))
        {
            Parallel.For(0, 400, new ParallelOptions { MaxDegreeOfParallelism = 8 }, step => writer.Append(TraceSamples.Entry(step, 2, 1, [step % 3], [1])));
            Assert.Equal(400, writer.Entries);
            writer.Complete();
        }

        var read = TraceSamples.Read(Path).OrderBy(entry => entry.Step).ToArray();
        Assert.Equal(Enumerable.Range(0, 400).Select(step => ((long)step, step % 3)), read.Select(entry => (entry.Step, entry.Experts.Span[0])));
    }

    [Fact]
    public void Writer_SecondOfAName_IsRefusedWhileTheFirstWrites()
    {
        using var writer = new RoutingTraceWriter(Path, TraceSamples.SmallHeader);
        writer.Append(TraceSamples.SmallEntries[0]);

        Assert.Throws<IOException>(() => new RoutingTraceWriter(Path, TraceSamples.SmallHeader));

        writer.Complete();
        Assert.Single(TraceSamples.Read(Path));
    }

    [Fact]
    public void Append_AfterComplete_IsRefused()
    {
        using var writer = new RoutingTraceWriter(Path, TraceSamples.SmallHeader);
        writer.Complete();

        Assert.Throws<InvalidOperationException>(() => writer.Append(TraceSamples.SmallEntries[0]));
        Assert.Throws<InvalidOperationException>(writer.Complete);
    }

    [Fact]
    public void Append_EntryThatDoesNotFit_SaysWhyAndWritesNothing()
    {
        using var writer = new RoutingTraceWriter(Path, TraceSamples.SmallHeader);

        Refused("The entry is of layer 1; the header of the trace lists 0, 2.", TraceSamples.Entry(0, 1, 1, [0], [1]));
        Refused("Token 1 has expert 4; expected -1..3, because layer 0 has 4 experts.", TraceSamples.Entry(0, 0, 2, [0, 1, 4, 0], [1, 1, 1, 1]));
        Refused("Step is -1; expected 0 or more.", TraceSamples.Entry(-1, 0, 1, [0], [1]));
        Refused("There are 2 experts, 1 weights and 0 marks of dropped choices; expected 2 of each for the shape 1 × 2 × 1.", TraceSamples.Entry(0, 0, 1, [0, 1], [1]));
        Refused("There are 1 experts, 1 weights and 3 marks of dropped choices; expected 1 of each for the shape 1 × 1 × 1.", TraceSamples.Entry(0, 0, 1, [0], [1], new bool[3]));

        Assert.Equal(0, writer.Entries);

        void Refused(string message, RoutingTraceEntry entry) =>
            Assert.StartsWith(message, Assert.Throws<ArgumentException>(() => writer.Append(entry)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 4, 5, "Layer 0 has a TopK of 5 but 4 experts; set it to 1..4.")]
    [InlineData(0, 65536, 1, "Layer 0 has 65536 experts; a trace holds 1..65535.")]
    [InlineData(-1, 4, 1, "Layer is -1; set it to 0 or more.")]
    [InlineData(3, 4, 1, "Layer 3 is listed twice; list each layer once.")]
    public void Writer_WrongHeader_SaysWhyAndCreatesNothing(int layer, int experts, int topK, string message)
    {
        var error = Assert.Throws<ArgumentException>(() => new RoutingTraceWriter(Path, new("test", [new(3, 4, 1), new(layer, experts, topK)])));

        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }
}
