using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class HostileFolderTests
{
    /// <summary>Config and files are in order by themselves; only what builds the model can see that they do not belong together.</summary>
    private static readonly HashSet<string> FaultBetweenConfigAndWeights =
        ["model_missing_expert", "model_missing_router", "model_extra_expert", "model_extra_tensor", "model_wrong_shape", "model_wrong_rank", "shards_tensor_not_in_index"];

    public static TheoryData<string, string> Folders => [.. HostileManifest.Folders];

    [Theory, MemberData(nameof(Folders))]
    public void ModelFolderAndConfig_HostileFolder_GetItsVerdict(string folder, string verdict)
    {
        string path = Fixtures.Path("hostile", folder);
        var errors = new List<CheckpointException>();
        IReadOnlyList<string> configWarnings = [], weightWarnings = [];

        Try(errors, () => Qwen3MoeConfig.Read(Path.Combine(path, "config.json"), out configWarnings));
        Try(errors, () =>
        {
            using var model = ModelFolder.Open(path);
            weightWarnings = model.Warnings;
        });

        if (FaultBetweenConfigAndWeights.Contains(Path.GetFileName(folder))) Assert.Empty(errors);
        else if (verdict == "reject") Assert.StartsWith(path, Assert.Single(errors).Message, StringComparison.Ordinal);
        else Assert.Equal((0, verdict == "warn" ? 1 : 0), (errors.Count, configWarnings.Count + weightWarnings.Count));
    }

    private static void Try(List<CheckpointException> errors, Action action)
    {
        try
        {
            action();
        }
        catch (CheckpointException e)
        {
            errors.Add(e);
        }
    }
}
