using MoeSharp.TestKit;

namespace MoeSharp.Package.Tests;

/// <summary>The task that makes TorchSharp's native library load on older systems, on files of all kinds.</summary>
public sealed class LoadingFixTests(LocalFeed feed) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Relax_TheLibraryOfTorchSharp_ChangesThreeBytes()
    {
        var original = File.ReadAllBytes(feed.TorchSharpNative);

        var relaxed = Relax(original);

        Assert.Equal(original.Length, relaxed.Length);
        Assert.Equal(3, original.Zip(relaxed).Count(pair => pair.First != pair.Second));
    }

    [Fact]
    public void Relax_ALibraryThatNeedsAnotherSymbol_CopiesIt()
    {
        var original = File.ReadAllBytes(feed.TorchSharpNative);
        original[original.AsSpan().IndexOf("_ZSt21ios_base_library_initv"u8)] = (byte)'X';   // another name in the table of symbols

        var relaxed = Relax(original);

        Assert.Equal(original, relaxed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("no library at all, though long enough to have the header of one: 64 bytes")]
    public void Relax_WhatIsNoLibrary_CopiesIt(string content)
    {
        var original = System.Text.Encoding.ASCII.GetBytes(content);

        var relaxed = Relax(original);

        Assert.Equal(original, relaxed);
    }

    private byte[] Relax(byte[] file)
    {
        var (source, destination) = (_folder.File("source.so"), _folder.File("relaxed.so"));
        File.WriteAllBytes(source, file);
        feed.RunLoadingFix(source, destination);
        return File.ReadAllBytes(destination);
    }
}
