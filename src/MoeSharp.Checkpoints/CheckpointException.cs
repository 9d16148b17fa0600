namespace MoeSharp.Checkpoints;

/// <summary>A file or a folder of a model is not what it should be: damaged, contradictory, or of a kind that is not supported.</summary>
public sealed class CheckpointException : MoeException
{
    /// <summary>Creates an error about a file; the message is prefixed with the file's path.</summary>
    /// <param name="file">The file or folder at fault.</param>
    /// <param name="message">What was found, what was expected, and what to do.</param>
    /// <param name="innerException">What caused it, if anything did.</param>
    public CheckpointException(string file, string message, Exception? innerException = null)
        : base($"{file}: {message}", innerException)
    {
        File = file;
    }

    /// <summary>The file or folder at fault.</summary>
    public string File { get; }

    /// <summary>One error for all that is wrong with a file, a line each; <paramref name="faults"/> holds at least one.</summary>
    internal static CheckpointException Listing(string file, IReadOnlyList<string> faults)
    {
        const int Shown = 20; // a folder of the wrong model has tens of thousands of faults, all of one kind

        if (faults.Count == 1) return new CheckpointException(file, faults[0]);

        string rest = faults.Count > Shown ? $"{Environment.NewLine}  - and {faults.Count - Shown} more." : "";
        string lines = string.Join("", faults.Take(Shown).Select(fault => $"{Environment.NewLine}  - {fault}"));
        return new CheckpointException(file, $"{faults.Count} faults:{lines}{rest}");
    }
}
