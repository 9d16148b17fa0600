using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>tests/fixtures/hostile: files and folders with what the reference and a strict reader say to each.</summary>
internal static class HostileManifest
{
    private static readonly JsonElement Root = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("hostile", "manifest.json"))).RootElement;

    /// <summary>File and whether it must open.</summary>
    public static IEnumerable<(string File, bool Opens)> Files =>
        from entry in Root.GetProperty("files").EnumerateArray()
        select (entry.GetProperty("file").GetString()!, entry.GetProperty("valid").GetBoolean() && !entry.GetProperty("strict").GetBoolean());

    /// <summary>Quantized file and verdict: ok, warn or reject.</summary>
    public static IEnumerable<(string File, string Verdict)> Quantized =>
        from entry in Root.GetProperty("quant").EnumerateArray()
        select (entry.GetProperty("file").GetString()!, entry.GetProperty("verdict").GetString()!);

    /// <summary>Folder and verdict: ok, warn or reject.</summary>
    public static IEnumerable<(string Folder, string Verdict)> Folders =>
        from entry in Root.GetProperty("folders").EnumerateArray()
        select (entry.GetProperty("folder").GetString()!, entry.GetProperty("verdict").GetString()!);
}
