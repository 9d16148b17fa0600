namespace MoeSharp.Checkpoints;

/// <summary>
/// Files that appear whole or not at all: bytes go to a temporary file in the same folder, reach the disk, and only then take the
/// final name. A reader never sees half a file, and a failed write leaves the old file as it was and nothing beside it.
/// </summary>
public static class AtomicFile
{
    /// <summary>Writes a file, replacing one of that name at the very end.</summary>
    /// <param name="path">The final name; its folder must exist.</param>
    /// <param name="write">Writes the content to the stream, which it must not keep. What it throws passes through.</param>
    /// <exception cref="IOException">The disk is full, or the folder is missing.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written to.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);

        string target = Path.GetFullPath(path);
        if (IsDevice(target))
        {
            using var device = new FileStream(target, FileMode.Open, FileAccess.Write);
            write(device);
            return;
        }

        if (Directory.Exists(target)) throw IsFolder(path);
        RemoveAbandoned(target);
        string aside = AsideOf(target);
        try
        {
            // renamed while open: a file that nobody holds is taken for a killed writer's. It is shared with readers, who may come right
            // after the rename; Windows renames only what is shared for it
            using var stream = new FileStream(aside, FileMode.CreateNew, FileAccess.Write, OperatingSystem.IsWindows() ? FileShare.Delete : FileShare.Read, bufferSize: 1 << 16);
            write(stream);
            stream.Flush(flushToDisk: true); // before the rename: otherwise a power cut may leave the new name on an empty file
            File.Move(aside, target, overwrite: true);
        }
        catch (Exception e)
        {
            if (File.Exists(aside)) File.Delete(aside);
            if (Told(e, aside, path) is { } told) throw told;
            throw;
        }
    }

    /// <summary>Throws what <see cref="Write"/> would, before work is done for what is to be written.</summary>
    /// <exception cref="IOException">The folder is missing, or the path is one.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written to.</exception>
    internal static void Check(string path)
    {
        string target = Path.GetFullPath(path);
        if (IsDevice(target)) return;
        if (Directory.Exists(target)) throw IsFolder(path);

        string aside = AsideOf(target);
        try
        {
            new FileStream(aside, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose).Dispose();
        }
        catch (Exception e) when (Told(e, aside, path) is { } told)
        {
            throw told;
        }
    }

    /// <summary>Whether a path is of a device or of a stream of this process, which is written to and not replaced.</summary>
    internal static bool IsDevice(string path) =>
        !OperatingSystem.IsWindows() && (path.StartsWith("/dev/", StringComparison.Ordinal) && !path.StartsWith("/dev/shm/", StringComparison.Ordinal) || path.StartsWith("/proc/", StringComparison.Ordinal));

    /// <summary>Writes a text file in UTF-8 without a byte order mark, as <see cref="Write"/> does.</summary>
    /// <param name="path">The final name; its folder must exist.</param>
    /// <param name="text">The content, written as it is.</param>
    public static void WriteAllText(string path, string text)
    {
        ArgumentNullException.ThrowIfNull(text);

        Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
    }

    private static IOException IsFolder(string path) => new($"{path} is a folder; give a file.");

    // the same of the name that was given, where an error names the one aside, which nobody knows
    private static Exception? Told(Exception e, string aside, string path)
    {
        if (!e.Message.Contains(aside, StringComparison.Ordinal)) return null;

        string message = e.Message.Replace(aside, path, StringComparison.Ordinal);
        return e switch
        {
            UnauthorizedAccessException => new UnauthorizedAccessException(message, e),
            DirectoryNotFoundException => new DirectoryNotFoundException($"{path} cannot be written: its folder is not there.", e),
            IOException => new IOException(message, e),
            _ => null,
        };
    }

    private const string AsideSuffix = ".tmp";
    private const int GuidLength = 32;

    private static string AsideOf(string target) => $"{AsidePrefix(target)}{Guid.NewGuid():N}{AsideSuffix}";

    private static string AsidePrefix(string target) =>
        Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}."); // never null: a full path that names a file

    /// <summary>Removes what killed processes left behind for this name; a living writer holds its file locked.</summary>
    private static void RemoveAbandoned(string target)
    {
        string prefix = AsidePrefix(target);
        string folder = Path.GetDirectoryName(prefix)!; // never null: the prefix is a name in a folder
        if (!Directory.Exists(folder)) return;

        foreach (string aside in Directory.EnumerateFiles(folder, $"*{AsideSuffix}"))
        {
            if (!aside.StartsWith(prefix, StringComparison.Ordinal) || aside.Length != prefix.Length + GuidLength + AsideSuffix.Length) continue;

            try
            {
                if (new FileInfo(aside).Length == 0) continue; // perhaps created this moment, and not yet locked

                new FileStream(aside, FileMode.Open, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose).Dispose();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // In use, or not ours to remove: it does no harm where it is.
            }
        }
    }
}
