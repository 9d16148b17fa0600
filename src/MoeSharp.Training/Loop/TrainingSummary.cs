namespace MoeSharp.Training;

/// <summary>What a finished run achieved: the content of <c>summary.json</c>.</summary>
public sealed record TrainingSummary
{
    /// <summary>Optimiser steps taken in all, resumed ones included.</summary>
    public required int Steps { get; init; }

    /// <summary>Training tokens seen.</summary>
    public required long Tokens { get; init; }

    /// <summary>The loss of the last step, in nats per token.</summary>
    public required double Loss { get; init; }

    /// <summary>Bits per UTF-8 byte on all held-out text.</summary>
    public required double HeldOutBitsPerByte { get; init; }

    /// <summary>Bits per byte of gzip at its highest level on the same bytes.</summary>
    public required double GzipBitsPerByte { get; init; }

    /// <summary>Wall time of the run in seconds, without interrupted time.</summary>
    public required double Seconds { get; init; }

    /// <summary>Training tokens per second over all steps.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Processor time over wall time and threads while training, 0 to 1.</summary>
    public required double CpuShare { get; init; }

    /// <summary>The largest resident memory of the process, in bytes.</summary>
    public required long PeakMemoryBytes { get; init; }

    /// <summary>Trained parameters.</summary>
    public required long Parameters { get; init; }

    /// <summary>Parameters that one token passes through.</summary>
    public required long ActiveParameters { get; init; }

    /// <summary>Experts that received no token in the last step, over all layers.</summary>
    public required int DeadExperts { get; init; }
}
