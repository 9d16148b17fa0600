using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

/// <summary>Text that users read, word for word, in the folder Snapshots.</summary>
internal static class Snapshot
{
    private const string Update = "MOESHARP_UPDATE_SNAPSHOTS";

    public static void Assert(string name, string text)
    {
        var file = Path.Combine(Fixtures.RepositoryRoot, "tests", "MoeSharp.Cli.Tests", "Snapshots", name);
        if (Environment.GetEnvironmentVariable(Update) == "1") File.WriteAllText(file, text);

        var expected = File.Exists(file) ? File.ReadAllText(file).ReplaceLineEndings("\n") : "";
        Xunit.Assert.True(expected == text, $"The output differs from {name}. If it should, run these tests with {Update}=1 and read what changed. It is now:\n{text}");
    }
}
