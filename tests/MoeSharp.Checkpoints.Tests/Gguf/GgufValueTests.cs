using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class GgufValueTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(GgufValueType.U8, new byte[] { 0xff }, 255)]
    [InlineData(GgufValueType.I8, new byte[] { 0xff }, -1)]
    [InlineData(GgufValueType.U16, new byte[] { 0xfe, 0xff }, 65_534)]
    [InlineData(GgufValueType.I16, new byte[] { 0xfe, 0xff }, -2)]
    [InlineData(GgufValueType.U32, new byte[] { 0xfd, 0xff, 0xff, 0xff }, 4_294_967_293)]
    [InlineData(GgufValueType.I32, new byte[] { 0xfd, 0xff, 0xff, 0xff }, -3)]
    [InlineData(GgufValueType.U64, new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }, long.MaxValue)]
    [InlineData(GgufValueType.I64, new byte[] { 0, 0, 0, 0, 0, 0, 0, 0x80 }, long.MinValue)]
    public void GgufValue_IntegerOfEveryWidth_IsOneNumber(GgufValueType type, byte[] bytes, long expected)
    {
        using var file = Open(new RawGguf().Value("a", type, bytes));
        var value = file.Value("a");

        Assert.Equal(type, value.Type);
        Assert.True(value.TryGetInteger(out long integer) && value.TryGetNumber(out _));
        Assert.Equal(expected, integer);
        Assert.Equal(expected, value.GetNumber());
        Assert.Equal(expected.ToString(System.Globalization.CultureInfo.InvariantCulture), value.ToString());
        Assert.False(value.TryGetFlag(out _) || value.TryGetText(out _));
    }

    [Fact]
    public void GgufValue_IntegerAbove63Bits_IsANumberOnly()
    {
        using var file = Open(new RawGguf().Value("a", GgufValueType.U64, [0, 0, 0, 0, 0, 0, 0, 0xff]));

        Assert.False(file.Value("a").TryGetInteger(out _));
        Assert.Equal(0xff00_0000_0000_0000, file.Value("a").GetNumber());
        Expect("Metadata 'a' is 18374686479671623680; expected a whole number up to 9223372036854775807.", () => file.Value("a").GetInteger());
    }

    [Fact]
    public void GgufValue_FloatsTextsAndFlags_AreWhatTheyAreAndNothingElse()
    {
        using var file = Open(new RawGguf()
            .Value("f32", GgufValueType.F32, BitConverter.GetBytes(1e-6f))
            .Value("f64", GgufValueType.F64, BitConverter.GetBytes(-0.1))
            .Value("text", "Grüße")
            .Value("flag", GgufValueType.Flag, 1)
            .Value("one", 1u));

        Assert.Equal(1e-6f, file.Value("f32").GetNumber());
        Assert.Equal(-0.1, file.Value("f64").GetNumber());
        Assert.Equal("Grüße", file.Value("text").GetText());
        Assert.True(file.Value("flag").GetFlag());
        Expect("Metadata 'f64' is -0.1; expected a whole number up to 9223372036854775807.", () => file.Value("f64").GetInteger());
        Expect("Metadata 'flag' is true; expected a number.", () => file.Value("flag").GetNumber());
        Expect("Metadata 'one' is 1; expected true or false.", () => file.Value("one").GetFlag());
        Expect("Metadata 'one' is 1; expected text.", () => file.Value("one").GetText());
        Expect("Metadata 'text' is text of 7 bytes; expected a list.", () => file.Value("text").Count);
        Expect("Metadata 'text' is text of 7 bytes; expected a list.", () => file.Value("text").Items);
        Assert.Null(file.Value("text").ElementType);
    }

    [Fact]
    public void GgufValue_Lists_GiveTheirElementsInOrder()
    {
        byte[] inner = RawGguf.Array(GgufValueType.I16, 2, 1, 0, 0xff, 0xff), empty = RawGguf.Array(GgufValueType.Text, 0);
        using var file = Open(new RawGguf()
            .Values("texts", "a", "", "Ġthe")
            .Value("flags", GgufValueType.Array, RawGguf.Array(GgufValueType.Flag, 2, 0, 1))
            .Value("nested", GgufValueType.Array, RawGguf.Array(GgufValueType.Array, 2, [.. inner, .. empty]))
            .Value("after", 7u));

        Assert.Equal(["a", "", "Ġthe"], file.Value("texts").Items.Select(item => item.GetText()));
        Assert.Equal([false, true], file.Value("flags").Items.Select(item => item.GetFlag()));
        Assert.Equal((GgufValueType.Array, 2), (file.Value("nested").ElementType, file.Value("nested").Count));
        Assert.Equal([[1, -1], []], file.Value("nested").Items.Select(item => item.Items.Select(number => number.GetNumber()).ToArray()));
        Assert.Equal("a list of 3 Text", file.Value("texts").ToString());
        Assert.Equal(7, file.Value("after").GetInteger());
        Expect("Metadata 'texts' is a list of 3 Text; expected text.", () => file.Value("texts").GetText());
    }

    [Fact]
    public void GgufValue_ElementThatIsNotUtf8_IsRefusedWhenItIsAskedFor()
    {
        using var file = Open(new RawGguf().Value("a", GgufValueType.Array, RawGguf.Array(GgufValueType.Text, 2, [.. RawGguf.Text("fine"), .. BitConverter.GetBytes(1L), 0xff])));

        Assert.Equal("fine", file.Value("a").Items.First().GetText());
        Expect("Metadata 'a' has a text that is not UTF-8.", () => file.Value("a").Items.Last().GetText());
    }

    [Fact]
    public void GgufFile_VocabularyOfAHundredThousandTexts_IsNotReadIntoMemory()
    {
        string path = new RawGguf().Values("tokenizer.ggml.tokens", [.. Enumerable.Range(0, 100_000).Select(i => $"token{i}")]).Write(_folder.File("big.gguf"));
        GgufFile.Open(path).Dispose();

        long before = GC.GetAllocatedBytesForCurrentThread();
        using var file = GgufFile.Open(path);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000);
        Assert.Equal(100_000, file.Value("tokenizer.ggml.tokens").Count);
        Assert.Equal("token99999", file.Value("tokenizer.ggml.tokens").Items.Last().GetText());
    }

    private GgufFile Open(RawGguf raw) => GgufFile.Open(raw.Write(_folder.File("a.gguf")));

    private void Expect(string message, Func<object> read) => Assert.Equal($"{_folder.File("a.gguf")}: {message}", Assert.Throws<CheckpointException>(read).Message);
}
