namespace MoeSharp.Training;

/// <summary>Writes files so that they are there whole or not at all.</summary>
internal static class AsideFile
{
    /// <summary>Writes beside the file, then renames; the beginnings of a failed write are removed.</summary>
    public static void Write(string path, Action<Stream> write)
    {
        RemoveLeftovers(path);
        var aside = $"{path}.{Guid.NewGuid():N}.tmp";

        try
        {
            using (var stream = new FileStream(aside, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(aside, path, overwrite: true);
        }
        catch
        {
            File.Delete(aside);
            throw;
        }
    }

    // A killed run cannot remove what it began; a day later nobody is writing it any more.
    private static void RemoveLeftovers(string path)
    {
        var (folder, name) = (Path.GetDirectoryName(Path.GetFullPath(path))!, Path.GetFileName(path));
        var leftovers = Directory.EnumerateFiles(folder, $"{name}.*.tmp").Where(file => File.GetLastWriteTimeUtc(file) < DateTime.UtcNow.AddDays(-1));
        foreach (var file in leftovers) File.Delete(file);
    }
}
