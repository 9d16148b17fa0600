namespace MoeSharp.Training;

/// <summary>Where a training run reads from and writes to; what it computes is <see cref="TrainingOptions"/>.</summary>
public sealed record TrainingRun
{
    /// <summary>The folder of the run. It must not exist or be empty, unless <see cref="Resume"/> or <see cref="Force"/>.</summary>
    public required string Output { get; init; }

    /// <summary>Files, folders and globs to learn from; empty (the default) for the documentation of the .NET SDK that runs.</summary>
    public IReadOnlyList<string> Data { get; init; } = [];

    /// <summary>A <c>tokenizer.json</c> (or the folder of one) to use; null (the default) trains one on the data.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Whether to continue the run in <see cref="Output"/> from its newest checkpoint, with the options of that run.</summary>
    public bool Resume { get; init; }

    /// <summary>Whether to replace what <see cref="Output"/> and <see cref="Trace"/> hold.</summary>
    public bool Force { get; init; }

    /// <summary>
    /// A file for the routing of every token in every training step, to read with <see cref="RoutingTraceReader"/>; null (the default)
    /// for none. Its steps count from 1, and each has an entry per micro-batch and MoE layer; measurements on held-out text are not in
    /// it. It must not exist, unless <see cref="Force"/>; a resumed run records its own steps in a new file.
    /// </summary>
    public string? Trace { get; init; }

    /// <summary>The threads of libtorch; null (the default) for one per processor. The same bits need the same number.</summary>
    public int? Threads { get; init; }
}
