namespace MoeSharp.Training;

/// <summary>A run was asked to stop, finished its step, and wrote everything that resuming needs.</summary>
public sealed class StoppedException : OperationCanceledException
{
    internal StoppedException(int step, string folder, CancellationToken token)
        : base($"Stopped after step {step}; {folder} holds the run and can be resumed.", token)
    {
        Step = step;
        Folder = folder;
    }

    /// <summary>The last step that was taken.</summary>
    public int Step { get; }

    /// <summary>The folder of the run.</summary>
    public string Folder { get; }
}
