using MoeSharp.Checkpoints;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>Finds the cases that paths name: a case itself, or every case below a folder.</summary>
internal static class VerifyCases
{
    private const string Expected = CaseVerifier.ExpectedFile; // what makes a folder a case

    /// <exception cref="UsageException">A path does not exist, or a folder holds no case.</exception>
    public static IReadOnlyList<string> Find(IReadOnlyList<string> paths) => [.. paths.SelectMany(Below)];

    private static IEnumerable<string> Below(string path)
    {
        if (File.Exists(path)) return [path];
        if (!Directory.Exists(path)) throw new UsageException($"There is no file or folder '{path}'.");
        if (IsModel(path)) return [path]; // also when it is incomplete: the verifier says what is missing

        var cases = Walk(path).ToArray();
        return cases.Length > 0 ? cases : throw new UsageException($"'{path}' holds no case: it has no file *{CaseVerifier.CaseFileEnding} and no safetensors file that describes itself as a case, and no folder in it has an {Expected}.");
    }

    // files of a folder first, then the folders in it
    private static IEnumerable<string> Walk(string folder) => Directory.EnumerateFiles(folder, "*.safetensors")
        .Where(file => file.EndsWith(CaseVerifier.CaseFileEnding, StringComparison.Ordinal) || DescribesItself(file))
        .Order(StringComparer.Ordinal)
        .Concat(Directory.EnumerateDirectories(folder)
            .Order(StringComparer.Ordinal)
            .SelectMany(inner => File.Exists(Path.Combine(inner, Expected)) ? [inner] : Walk(inner)));

    /// <summary>Tensor cases have names of their own; what cannot be read is none, among files that are not named as cases.</summary>
    private static bool DescribesItself(string path)
    {
        try
        {
            using var file = SafetensorsFile.Open(path);
            return file.Metadata.ContainsKey(CaseVerifier.MetadataKey);
        }
        catch (CheckpointException)
        {
            return false;
        }
    }

    private static bool IsModel(string folder) => File.Exists(Path.Combine(folder, Expected)) || File.Exists(Path.Combine(folder, "config.json"));
}
