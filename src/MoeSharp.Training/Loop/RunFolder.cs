using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>The folder of a training run: what is where, and whether it may be written. One process at a time has it, until it is disposed.</summary>
internal sealed class RunFolder : IDisposable
{
    private FileStream? _lock;

    private RunFolder(string path) => Path = path;

    private const string AnotherFolder = "Give another folder with --out.", LockName = ".lock";

    public string Path { get; }

    public string Metrics => System.IO.Path.Combine(Path, "metrics.jsonl");

    public string Summary => System.IO.Path.Combine(Path, "summary.json");

    public string State => System.IO.Path.Combine(Path, "state");

    /// <summary>Checks that a new run may be written to a folder: new, empty, or with <paramref name="force"/> that of an earlier run. Nothing is replaced yet.</summary>
    /// <exception cref="MoeException">The folder holds something, or cannot be written.</exception>
    public static RunFolder Create(string path, bool force)
    {
        if (File.Exists(path)) throw new MoeException($"{path} is a file; give a folder for the run.");
        if (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any(entry => System.IO.Path.GetFileName(entry) != LockName))
        {
            if (!force) throw new MoeException($"{path} is not empty. Continue the run in it with --resume {path}, replace it with --force, or give another folder with --out.");
            if (!File.Exists(System.IO.Path.Combine(path, RunFile.FileName)))
                throw new MoeException($"{path} is not empty and does not hold a run ({RunFile.FileName} is missing), so --force does not touch it. Give another folder with --out.");
        }

        var folder = new RunFolder(path);
        Guard(path, AnotherFolder, () => Directory.CreateDirectory(path));
        folder.Take(AnotherFolder);
        return folder;
    }

    /// <summary>Opens the folder of an earlier run.</summary>
    /// <exception cref="MoeException">There is no run in it, or it cannot be written.</exception>
    public static RunFolder Open(string path)
    {
        var folder = new RunFolder(path);
        if (!Directory.Exists(path)) throw new MoeException($"{path} does not exist; give the folder of the run to resume.");
        folder.Take("See that it can be written, then resume again.");
        return folder;
    }

    /// <summary>Starts a new run: the files of an earlier one go, and nothing else that may lie there; then <c>run.json</c> is written.</summary>
    public void Begin(RunFile run) => Guard(Path, AnotherFolder, () =>
    {
        if (Directory.Exists(State)) Directory.Delete(State, recursive: true);
        foreach (string pattern in (string[])["*.json", "*.jsonl", "*.safetensors", "*.png"])
        {
            foreach (string file in Directory.EnumerateFiles(Path, pattern)) File.Delete(file);
        }

        AtomicFile.WriteAllText(System.IO.Path.Combine(Path, RunFile.FileName), run.ToJson() + "\n");
    });

    /// <inheritdoc/>
    public void Dispose() => _lock?.Dispose();

    private void Take(string advice)
    {
        string path = System.IO.Path.Combine(Path, LockName);
        bool isThere = File.Exists(path);
        try
        {
            Guard(Path, advice, () => _lock = new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose));
        }
        catch (MoeException e) when (isThere && e.InnerException is IOException)
        {
            throw new MoeException($"Another process trains in {Path}. Wait until it ends, or give another folder with --out.", e);
        }
    }

    private static void Guard(string path, string advice, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeException($"{path} cannot be written: {e.Message.TrimEnd('.')}. {advice}", e);
        }
    }
}
