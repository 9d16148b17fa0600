namespace MoeSharp.Checkpoints;

/// <summary>One file of a GGUF model: open and checked.</summary>
internal sealed class GgufShard : IDisposable
{
    private GgufShard(MappedFile file, GgufHeader header)
    {
        (File, Header) = (file, header);
    }

    public MappedFile File { get; }

    public GgufHeader Header { get; }

    /// <summary>Opens a file and checks all of its header.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public static GgufShard Open(string path)
    {
        var file = MappedFile.Open(path);
        try
        {
            return new GgufShard(file, GgufHeader.Read(file));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => File.Dispose();
}
