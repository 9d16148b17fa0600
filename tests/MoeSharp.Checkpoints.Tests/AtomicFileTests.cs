using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AtomicFile_NewText_IsUtf8WithoutMark()
    {
        string path = _folder.File("config.json");

        AtomicFile.WriteAllText(path, "{\"é\": 1}\n");

        Assert.Equal([0x7b, 0x22, 0xc3, 0xa9, 0x22, 0x3a, 0x20, 0x31, 0x7d, 0x0a], File.ReadAllBytes(path));
    }

    [Fact]
    public void AtomicFile_WhileWriting_TheOldFileIsInPlace()
    {
        string path = _folder.File("a.txt");
        File.WriteAllText(path, "old");
        string? during = null;

        AtomicFile.Write(path, stream =>
        {
            stream.Write("new"u8);
            stream.Flush();
            during = File.ReadAllText(path);
        });

        Assert.Equal("old", during);
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void AtomicFile_FailureWhileWriting_LeavesNothing()
    {
        string path = _folder.File("a.txt");

        Assert.Throws<IOException>(() => AtomicFile.Write(path, stream =>
        {
            stream.Write(new byte[1 << 20]);
            throw new IOException("No space left on device");
        }));

        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void AtomicFile_TargetIsAFolder_FailsAndLeavesNothing()
    {
        string path = _folder.File("folder");
        Directory.CreateDirectory(path);

        foreach (var act in new[] { () => AtomicFile.WriteAllText(path, "x"), () => AtomicFile.Check(path) })
            Assert.Equal($"{path} is a folder; give a file.", Assert.Throws<IOException>(act).Message);

        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void AtomicFile_MissingFolder_FailsWithTheNameThatWasGiven()
    {
        string path = _folder.File("no/such/file");

        foreach (var act in new[] { () => AtomicFile.WriteAllText(path, "x"), () => AtomicFile.Check(path) })
            Assert.Equal($"{path} cannot be written: its folder is not there.", Assert.Throws<DirectoryNotFoundException>(act).Message);
    }

    [Fact]
    public void Check_FileThatCanBeWritten_LeavesItAndItsFolderAsTheyWere()
    {
        string path = _folder.File("a.txt");
        File.WriteAllText(path, "old");

        AtomicFile.Check(path);
        AtomicFile.Check(_folder.File("new.txt"));

        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void AtomicFile_Device_IsWrittenToAndNotReplaced()
    {
        if (OperatingSystem.IsWindows()) return;

        AtomicFile.WriteAllText("/dev/null", "x");

        Assert.Empty(File.ReadAllText("/dev/null"));
    }

    [Fact]
    public void AtomicFile_RemainsOfAKilledWriter_AreRemovedByTheNext()
    {
        string path = _folder.File("model.safetensors");
        File.WriteAllText(_folder.File($".model.safetensors.{Guid.NewGuid():N}.tmp"), "half");
        string other = _folder.File(".other.safetensors.0.tmp");
        File.WriteAllText(other, "not of this file");

        AtomicFile.WriteAllText(path, "whole");

        Assert.Equal([other, path], Directory.GetFiles(_folder.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void AtomicFile_ManyWritersOfOneName_AllFinish()
    {
        string path = _folder.File("a.txt");

        Parallel.For(0, 400, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i => AtomicFile.WriteAllText(path, $"writer {i}"));

        Assert.StartsWith("writer ", File.ReadAllText(path), StringComparison.Ordinal);
        Assert.Equal([path], Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void AtomicFile_TwoWritersAtOnce_BothFinishAndTheLaterWins()
    {
        string path = _folder.File("a.txt");

        AtomicFile.Write(path, outer =>
        {
            outer.Write("outer"u8);
            AtomicFile.WriteAllText(path, "inner");
        });

        Assert.Equal("outer", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(_folder.Path));
    }
}
