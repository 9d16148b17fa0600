namespace MoeSharp.Cli;

/// <summary>Errors that a user can act on: one message, no stack trace, the exit code that fits. Anything else is a bug and keeps its trace.</summary>
internal static class Failure
{
    public static bool Explains(Exception error) => error is UsageException or MoeException or IOException or UnauthorizedAccessException or OperationCanceledException;

    public static int Report(Exception error, TextWriter messages, bool isVerbose)
    {
        messages.WriteLine(error is OperationCanceledException ? "Stopped." : error.Message);
        if (isVerbose) messages.WriteLine(error);

        return error switch
        {
            UsageException => ExitCode.Usage,
            OperationCanceledException => ExitCode.Cancelled,
            _ => ExitCode.Failure,
        };
    }
}
