using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class SdkDocumentationTests : IDisposable
{
    private readonly TemporaryFolder _root = new();

    public void Dispose() => _root.Dispose();

    [Theory]
    [InlineData("M:System.String.Substring(System.Int32)", "String.Substring(Int32)")]
    [InlineData("M:System.String.Trim", "String.Trim()")]
    [InlineData("P:System.String.Chars(System.Int32)", "String.Chars(Int32)")]
    [InlineData("F:System.String.Empty", "String.Empty")]
    [InlineData("T:System.String", "String")]
    [InlineData("M:System.String.#ctor(System.Char[],System.Int32)", "new String(Char[], Int32)")]
    [InlineData("M:System.Int32.TryParse(System.String,System.Int32@)", "Int32.TryParse(String, Int32)")]
    [InlineData("M:System.Decimal.op_Explicit(System.Decimal)~System.Int32", "Decimal.operator Explicit(Decimal) to Int32")]
    [InlineData("M:System.String.System#IConvertible#ToByte(System.IFormatProvider)", "String.ToByte(IFormatProvider)")]
    [InlineData("M:System.Buffer.Copy(System.Int32[0:,0:])", "Buffer.Copy(Int32[,])")]
    [InlineData("M:System.Linq.Enumerable.First(System.Collections.Generic.IEnumerable{System.String})", "Enumerable.First(IEnumerable<String>)")]
    public void Readable_Ids_BecomeNames(string id, string expected) => Assert.Equal(expected, DocumentationName.Readable(id, [], []));

    [Fact]
    public void Readable_GenericIds_NameTheirTypeParameters() => Assert.Equal(
        "Map<TKey, TValue>.Convert<TOut>(Func<TKey, TOut[]>)",
        DocumentationName.Readable("M:A.Map`2.Convert``1(System.Func{`0,``0[]})", ["TKey", "TValue"], ["TOut"]));

    [Theory]
    [InlineData("T:System.Collections.Generic.List`1", "List")]
    [InlineData("M:System.String.Substring(System.Int32)", "String.Substring")]
    [InlineData("M:System.String.#ctor(System.Char[])", "String")]
    [InlineData("F:System.Int32.MaxValue", "Int32.MaxValue")]
    [InlineData("plain", "plain")]
    public void Reference_Ids_BecomeShortNames(string id, string expected) => Assert.Equal(expected, DocumentationName.Reference(id));

    [Fact]
    public void Read_Members_BecomeParagraphsOfTheirType()
    {
        AddFile("A.Ref", "10.0.1", "A.xml", """
            <member name="T:N.Box`1"><summary>Holds a <typeparamref name="T" />.</summary><typeparam name="T">What it holds.</typeparam></member>
            <member name="M:N.Box`1.Put(`0)">
              <summary>Puts <paramref name="item" /> in,
                 see <see cref="P:N.Box`1.Item" />, <c>null</c> or <see langword="true" />.<para>Twice.</para></summary>
              <param name="item">The item.</param>
              <returns />
              <exception cref="T:System.ArgumentException"><paramref name="item" /> is bad.</exception>
              <remarks>Slow.</remarks>
            </member>
            <member name="M:N.Box`1.Silent"><summary></summary></member>
            """);

        var document = Assert.Single(Read());

        Assert.Equal("N.Box`1", document.Name);
        Assert.Equal(
            """
            Box<T>
            Holds a T.
            T: What it holds.

            Box<T>.Put(T)
            Puts item in, see Box.Item, `null` or true. Twice.
            item: The item.
            Throws ArgumentException: item is bad.
            Slow.

            """,
            document.Text,
            ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Read_RepeatedProse_StaysOnlyWhereItStandsFirst()
    {
        AddFile("A.Ref", "10.0.1", "A.xml", """<member name="M:N.A.Get"><summary>Gets it.</summary></member>""");
        AddFile("B.Ref", "10.0.1", "B.xml", """<member name="M:N.B.Get"><summary>Gets  it.</summary></member><member name="M:N.B.Set"><summary>Sets it.</summary></member>""");

        Assert.Equal([new("N.A", "A.Get()\nGets it.\n"), new TextDocument("N.B", "B.Set()\nSets it.\n")], Read());
    }

    [Fact]
    public void FindFiles_SeveralVersions_TakesTheNewestOfEachPack()
    {
        AddFile("A.Ref", "10.0.9", "A.xml", "");
        AddFile("A.Ref", "10.0.12", "A.xml", "");

        Assert.Equal([Path.Combine(_root.Path, "packs/A.Ref/10.0.12/ref/net10.0/A.xml")], SdkDocumentation.FindFiles(["/nowhere", _root.Path]));
    }

    [Fact]
    public void FindFiles_NoSdk_TellsWhatToDo()
    {
        var error = Assert.Throws<MoeException>(() => SdkDocumentation.FindFiles([_root.Path]));

        Assert.Equal(
            $"No .NET documentation was found: looked for packs/*.Ref/*/ref/net*/*.xml in {_root.Path}. Install the .NET SDK, or name other text with --data.",
            error.Message);
    }

    [Fact]
    public void Read_DamagedFile_NamesIt()
    {
        var file = AddFile("A.Ref", "10.0.1", "A.xml", "<member name=");

        Assert.StartsWith($"{file} is damaged: ", Assert.Throws<MoeException>(Read).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Roots_OfTheRunningSdk_HoldDocumentation() =>
        Assert.Contains(SdkDocumentation.FindFiles(SdkDocumentation.Roots()), file => Path.GetFileName(file) == "System.Runtime.xml");

    private IReadOnlyList<TextDocument> Read() => SdkDocumentation.Read(SdkDocumentation.FindFiles([_root.Path]), CancellationToken.None);

    private string AddFile(string pack, string version, string name, string members)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_root.Path, "packs", pack, version, "ref", "net10.0")).FullName;
        File.WriteAllText(Path.Combine(folder, name), $"""<?xml version="1.0"?><doc><assembly><name>A</name></assembly><members>{members}</members></doc>""");
        return Path.Combine(folder, name);
    }
}
