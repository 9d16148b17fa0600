using System.IO.Compression;
using System.Text;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class TextDataTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_Folder_TakesTextRecursivelyInOrder()
    {
        Write("b.txt", "two");
        Write("a/z.md", "one");
        Write("c.cs", "three");

        Assert.Equal(["one", "two", "three"], Texts(_folder.Path));
    }

    [Theory]
    [InlineData(".hidden")]
    [InlineData(".git/config")]
    [InlineData("bin/a.txt")]
    [InlineData("src/obj/a.txt")]
    [InlineData("node_modules/p/readme.md")]
    public void Read_Folder_PassesOverWhatNobodyWrote(string name)
    {
        Write(name, "no");
        Write("a.txt", "yes");

        Assert.Equal(["yes"], Texts(_folder.Path));
    }

    [Fact]
    public void Read_Folder_SkipsAndCountsBinaryFiles()
    {
        Write("a.txt", "text");
        WriteBytes("nul.dat", [65, 0, 66]);
        WriteBytes("latin1.txt", [0x63, 0x61, 0x66, 0xE9]);
        Write("empty.txt", "");

        var read = TextData.Read([_folder.Path]);

        Assert.Equal(["text"], read.Select(document => document.Text));
        Assert.Equal([_folder.File("latin1.txt"), _folder.File("nul.dat")], read.SkippedFiles);
    }

    [Fact]
    public void Read_BinaryFileByName_IsAnError()
    {
        WriteBytes("nul.dat", [65, 0, 66]);

        Assert.Equal($"{_folder.File("nul.dat")} is not text: it holds NUL bytes or is not valid UTF-8.", Fault(_folder.File("nul.dat")));
    }

    [Fact]
    public void Read_ByteOrderMarks_DecideTheEncodingAndAreDropped()
    {
        WriteBytes("1.txt", [.. Encoding.UTF8.Preamble, .. "é"u8]);
        WriteBytes("2.txt", [.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes("é")]);
        WriteBytes("3.txt", [.. Encoding.BigEndianUnicode.Preamble, .. Encoding.BigEndianUnicode.GetBytes("é")]);

        Assert.Equal(["é", "é", "é"], Texts(_folder.Path));
    }

    [Fact]
    public void Read_JsonLines_GivesADocumentPerLine()
    {
        Write("a.jsonl", "{\"text\": \"one\"}\n\n{\"id\": 2, \"text\": \"two\\nlines\"}\r\n{\"text\": \"\"}");

        var read = TextData.Read([_folder.File("a.jsonl")]);

        Assert.Equal([new($"{_folder.File("a.jsonl")}:1", "one"), new TextDocument($"{_folder.File("a.jsonl")}:3", "two\nlines")], read);
    }

    [Fact]
    public void Read_Json_IsLinesOnlyWhenItLooksLikeThem()
    {
        Write("lines.json", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
        Write("value.json", "{\n  \"text\": 1\n}");

        Assert.Equal(["one", "two", "{\n  \"text\": 1\n}"], Texts(_folder.Path));
    }

    [Theory]
    [InlineData("{\"text\": \"one\"}\n{\"text\": ", "line 2: not JSON")]
    [InlineData("{\"txt\": \"one\"}", "line 1: the line has no text")]
    [InlineData("{\"text\": 7}", "line 1: the line has no text")]
    [InlineData("\"text\"", "line 1: the line has no text")]
    [InlineData("{\"text\": \"\\ud800\"}", "line 1: the text is not Unicode")]
    public void Read_MalformedLine_NamesFileAndLine(string content, string expected)
    {
        Write("a.jsonl", content);

        Assert.StartsWith($"{_folder.File("a.jsonl")}, {expected}", Fault(_folder.Path), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_Gzip_ReadsWhatIsInIt()
    {
        WriteBytes("a.txt.gz", Gzip("one"));
        WriteBytes("b.jsonl.gz", Gzip("{\"text\": \"two\"}\n{\"text\": \"three\"}"));
        WriteBytes("c.md.gz", [.. Gzip("fo"), .. Gzip("ur")]);

        Assert.Equal(["one", "two", "three", "four"], Texts(_folder.Path));
    }

    [Fact]
    public void Read_GzipCutAnywhere_SaysThatItIsDamaged()
    {
        var whole = Gzip(string.Concat(Enumerable.Range(0, 300).Select(i => $"line {i * 7919}\n")));

        for (var length = 0; length < whole.Length; length += length < whole.Length - 20 ? 97 : 1)
        {
            WriteBytes("a.txt.gz", whole[..length]);

            Assert.Equal($"{_folder.File("a.txt.gz")} is a damaged gzip file: it is cut short or was changed.", Fault(_folder.Path));
        }
    }

    [Fact]
    public void Read_Pattern_FindsFilesInOrder()
    {
        Write("docs/b.md", "two");
        Write("docs/deep/a.md", "three");
        Write("docs/a.md", "one");
        Write("docs/c.txt", "no");

        Assert.Equal(["one", "two", "three"], Texts(_folder.File("docs/**/*.md")));
        Assert.Equal(["one", "two"], Texts(_folder.File("docs/*.md")));
    }

    [Fact]
    public void Read_FileNamedTwice_IsReadOnce()
    {
        Write("a.txt", "one");

        Assert.Equal(["one"], Texts(_folder.File("a.txt"), _folder.Path, _folder.File("*.txt")));
    }

    [Fact]
    public void Read_NothingThere_SaysSo()
    {
        var empty = Directory.CreateDirectory(_folder.File("empty")).FullName;
        Write("blank.txt", " \n");

        Assert.Equal("There is no file or folder at /nowhere.", Fault("/nowhere"));
        Assert.Equal($"No file was found in {empty}.", Fault(empty));
        Assert.Equal($"No file was found in {_folder.File("*.none")}.", Fault(_folder.File("*.none")));
        Assert.Equal($"There is no text in {_folder.File("blank.txt")}: every file is empty or binary.", Fault(_folder.File("blank.txt")));
        Assert.Equal("No data was given: name a file, a folder or a pattern.", Fault());
    }

    [Fact]
    public void Read_Cancelled_Stops()
    {
        Write("a.txt", "one");

        Assert.ThrowsAny<OperationCanceledException>(() => TextData.Read([_folder.Path], new CancellationToken(canceled: true)));
    }

    private void Write(string name, string text) => WriteBytes(name, Encoding.UTF8.GetBytes(text));

    private void WriteBytes(string name, byte[] bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder.File(name))!);
        File.WriteAllBytes(_folder.File(name), bytes);
    }

    private static IEnumerable<string> Texts(params string[] paths) => TextData.Read(paths).Select(document => document.Text);

    private static string Fault(params string[] paths) => Assert.Throws<MoeException>(() => TextData.Read(paths)).Message;

    private static byte[] Gzip(string text)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest)) gzip.Write(Encoding.UTF8.GetBytes(text));

        return compressed.ToArray();
    }
}
