using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class RoutingTraceFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.File("run.trace");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Reader_AnyTrace_GivesBackWhatWasWritten() => TraceSamples.Traces.Holds(200, trace =>
    {
        TraceSamples.Write(Path, trace.Header, trace.Entries);

        using var reader = RoutingTraceReader.Open(Path);
        var read = reader.ReadEntries().ToArray();

        return reader.IsComplete && reader.Header.Source == trace.Header.Source && reader.Header.Layers.SequenceEqual(trace.Header.Layers)
            && reader.Header.Metadata.Order().SequenceEqual(trace.Header.Metadata.Order())
            && read.Length == trace.Entries.Length && read.Zip(trace.Entries).All(pair => TraceSamples.AreEqual(pair.First, pair.Second));
    });

    [Fact]
    public void Reader_Again_GivesTheSameEntries()
    {
        WriteSmall();
        using var reader = RoutingTraceReader.Open(Path);

        var (first, second) = (reader.ReadEntries().ToArray(), reader.ReadEntries().ToArray());

        Assert.All(first.Zip(second), pair => Assert.True(TraceSamples.AreEqual(pair.First, pair.Second)));
        Assert.Equal(3, second.Length);
    }

    [Fact]
    public void File_OfOneEntry_HasTheDocumentedBytes()
    {
        TraceSamples.Write(Path, new("a", [new(0, 4, 2)]), TraceSamples.Entry(300, 0, 2, [3, -1], [1, 0], [true, false]));

        byte[] bytes = File.ReadAllBytes(Path);

        const string Header = """{"source":"a","layers":[{"layer":0,"expert_count":4,"top_k":2}],"metadata":{}}""";
        Assert.Equal([.. "MOETRACE"u8, 1, 0, 0, 0, (byte)Header.Length, 0, 0, 0, .. System.Text.Encoding.UTF8.GetBytes(Header)], bytes[..(16 + Header.Length)]);
        byte[] entry = [1, 14, 0xac, 0x02, 0, 1, 1, 2, 1, 3, 0xff, 0x00, 0x3c, 0x00, 0x00, 0x01];
        Assert.Equal(entry, bytes[(20 + Header.Length)..][..entry.Length]);
        Assert.Equal([2, 8, 1, 0, 0, 0, 0, 0, 0, 0], bytes[^14..^4]);
    }

    [Fact]
    public void Checksum_OfDigits_IsThatOfTheCatalogue() => Assert.Equal(0xe3069283u, RoutingTraceFormat.Checksum("123456789"u8)); // CRC-32/ISCSI

    [Fact]
    public void Reader_EveryTruncation_IsRefusedAfterTheWholeRecords()
    {
        WriteSmall();
        byte[] bytes = File.ReadAllBytes(Path);

        for (int length = 0; length < bytes.Length; length++)
        {
            File.WriteAllBytes(Path, bytes[..length]);

            AssertPrefixThenRefused($"The first {length} bytes");
        }
    }

    [Fact]
    public void PartialReader_EveryTruncation_GivesTheWholeRecords()
    {
        WriteSmall();
        byte[] bytes = File.ReadAllBytes(Path);
        int start = StartOfRecords(bytes);
        var counts = new List<int>();

        for (int length = start; length < bytes.Length; length++)
        {
            File.WriteAllBytes(Path, bytes[..length]);
            using var reader = RoutingTraceReader.Open(Path, allowPartial: true);
            var read = reader.ReadEntries().ToArray();

            Assert.False(reader.IsComplete);
            Assert.All(read.Zip(TraceSamples.SmallEntries), pair => Assert.True(TraceSamples.AreEqual(pair.First, pair.Second)));
            counts.Add(read.Length);
        }

        Assert.Equal(counts.Order(), counts);
        Assert.Equal([0, 1, 2, 3], counts.Distinct());
    }

    [Fact]
    public void Reader_EveryFlippedBit_IsRefusedAfterTheWholeRecords()
    {
        WriteSmall();
        byte[] bytes = File.ReadAllBytes(Path);

        for (int bit = 0; bit < 8 * bytes.Length; bit++)
        {
            byte[] damaged = [.. bytes];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            File.WriteAllBytes(Path, damaged);

            AssertPrefixThenRefused($"Bit {bit}");
        }
    }

    [Fact]
    public void PartialReader_EveryFlippedBitBeforeTheEnd_IsRefused()
    {
        WriteSmall();
        byte[] bytes = File.ReadAllBytes(Path);

        for (int bit = 0; bit < 8 * (bytes.Length - RoutingTraceFormat.EndLength); bit++)
        {
            byte[] damaged = [.. bytes];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            File.WriteAllBytes(Path, damaged);

            Assert.Throws<MoeException>(() => TraceSamples.Read(Path, allowPartial: true)); // the end is there: nothing was cut off
        }
    }

    [Fact]
    public void Reader_AnyContentUnderARightChecksum_NeverFailsOtherwise()
    {
        WriteSmall();
        byte[] start = File.ReadAllBytes(Path)[..StartOfRecords(File.ReadAllBytes(Path))];
        byte[] record = RoutingTraceRecord.Encode(TraceSamples.SmallEntries[2], 4);
        int refused = 0;

        for (int at = 2; at < record.Length - 4; at++)
        {
            for (int value = 0; value < 256; value += value is < 8 or > 248 ? 1 : 5)
            {
                byte[] changed = [.. record];
                changed[at] = (byte)value;
                RoutingTraceFormat.Seal(changed);
                File.WriteAllBytes(Path, [.. start, .. changed, .. RoutingTraceFormat.EndRecord(1)]);
                if (Record.Exception(() => TraceSamples.Read(Path)) is not { } error) continue;

                Assert.StartsWith($"{Path}: record 0 (at byte {start.Length}): ", Assert.IsType<MoeException>(error).Message, StringComparison.Ordinal);
                refused++;
            }
        }

        Assert.True(refused > 500, $"{refused} were refused.");
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"source":"a","layers":[],"metadata":{},"more":1}""")]
    [InlineData("""{"source":"a","source":"b","layers":[],"metadata":{}}""")]
    [InlineData("""{"source":null,"layers":[],"metadata":{}}""")]
    [InlineData("""{"source":"\ud800","layers":[],"metadata":{}}""")]
    [InlineData("""{"source":"a","layers":[1],"metadata":{}}""")]
    [InlineData("""{"source":"a","layers":[{"layer":0,"expert_count":4.5,"top_k":1}],"metadata":{}}""")]
    [InlineData("""{"source":"a","layers":[{"layer":0,"expert_count":65536,"top_k":1}],"metadata":{}}""")]
    [InlineData("""{"source":"a","layers":[{"layer":0,"expert_count":4,"top_k":5}],"metadata":{}}""")]
    [InlineData("""{"source":"a","layers":[{"layer":0,"expert_count":4,"top_k":1},{"layer":0,"expert_count":4,"top_k":1}],"metadata":{}}""")]
    [InlineData("""{"source":"a","layers":[],"metadata":{"x":1}}""")]
    [InlineData("""{"source":"a","layers":[],"metadata":{}} x""")]
    public void Reader_WrongHeader_IsRefused(string json)
    {
        byte[] start = [.. "MOETRACE"u8, 1, 0, 0, 0, (byte)json.Length, (byte)(json.Length >> 8), 0, 0, .. System.Text.Encoding.UTF8.GetBytes(json), 0, 0, 0, 0];
        RoutingTraceFormat.Seal(start);
        File.WriteAllBytes(Path, [.. start, .. RoutingTraceFormat.EndRecord(0)]);

        var error = Assert.Throws<MoeException>(() => RoutingTraceReader.Open(Path));

        Assert.StartsWith($"{Path}: The header is wrong. ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reader_RecordThatClaimsMoreThanTheFile_TakesNoMemoryForIt()
    {
        WriteSmall();
        byte[] start = File.ReadAllBytes(Path)[..StartOfRecords(File.ReadAllBytes(Path))];
        File.WriteAllBytes(Path, [.. start, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0]);

        long before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<MoeException>(() => TraceSamples.Read(Path));

        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
        Assert.Contains("record 0 (at byte", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reader_MissingEnd_SaysThatTheRunWasCutOff()
    {
        WriteSmall();
        byte[] bytes = File.ReadAllBytes(Path);
        int end = bytes.Length - RoutingTraceFormat.EndLength;
        File.WriteAllBytes(Path, bytes[..end]);

        var error = Assert.Throws<MoeException>(() => TraceSamples.Read(Path));

        Assert.Equal($"{Path}: record 3 (at byte {end}): the file ends before it, without the mark of its end: the run or the file was cut off. The records before it are whole: read the file as a partial trace (moesharp trace: --partial).", error.Message);
    }

    [Fact]
    public void Reader_MissingFileOrFolder_SaysSo()
    {
        Assert.StartsWith($"{Path}: the file cannot be read: ", Assert.Throws<MoeException>(() => RoutingTraceReader.Open(Path)).Message, StringComparison.Ordinal);
        Assert.StartsWith($"{_folder.Path}: the file cannot be read: ", Assert.Throws<MoeException>(() => RoutingTraceReader.Open(_folder.Path)).Message, StringComparison.Ordinal);
    }

    private void WriteSmall() => TraceSamples.Write(Path, TraceSamples.SmallHeader, TraceSamples.SmallEntries);

    private static int StartOfRecords(byte[] bytes) => 16 + BitConverter.ToInt32(bytes, 12) + 4;

    private void AssertPrefixThenRefused(string what)
    {
        var read = new List<RoutingTraceEntry>();
        var error = Record.Exception(() =>
        {
            using var reader = RoutingTraceReader.Open(Path);
            foreach (var entry in reader.ReadEntries()) read.Add(entry);
        });

        Assert.True(error is MoeException, $"{what}: {error?.ToString() ?? "read as if nothing was wrong"}");
        Assert.StartsWith($"{Path}: ", error!.Message, StringComparison.Ordinal); // asserted above
        Assert.All(read.Zip(TraceSamples.SmallEntries), pair => Assert.True(TraceSamples.AreEqual(pair.First, pair.Second)));
    }
}
