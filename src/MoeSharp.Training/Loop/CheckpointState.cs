namespace MoeSharp.Training;

/// <summary>What a checkpoint for resuming holds besides weights and moments: <c>state.json</c>, written last, so that it vouches for the rest.</summary>
internal sealed record CheckpointState
{
    /// <summary>The step that was taken last; the data position, the learning rate and the moments' corrections follow from it.</summary>
    public required int Step { get; init; }

    /// <summary>The tokenized text that was trained on; another text cannot be continued with.</summary>
    public required string TextFingerprint { get; init; }

    /// <summary>Training seconds so far.</summary>
    public required double Seconds { get; init; }

    /// <summary>Processor seconds so far.</summary>
    public required double ProcessorSeconds { get; init; }

    /// <summary>Bits per byte on held-out text, if it was measured at this step.</summary>
    public required double? HeldOutBitsPerByte { get; init; }

    /// <summary>SHA-256 of each file, so that damage is seen before it is trained on.</summary>
    public required Dictionary<string, string> Files { get; init; }
}
