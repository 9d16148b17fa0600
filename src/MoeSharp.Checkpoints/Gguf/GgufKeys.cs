namespace MoeSharp.Checkpoints;

/// <summary>Keys of metadata that concern the file itself, not the model.</summary>
internal static class GgufKeys
{
    public const string Alignment = "general.alignment";
    public const string Architecture = "general.architecture";
    public const string ShardNumber = "split.no";
    public const string ShardCount = "split.count";
    public const string TensorsOfAllShards = "split.tensors.count";
}
