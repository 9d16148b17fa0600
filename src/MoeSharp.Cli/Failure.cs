using System.Runtime.InteropServices;

namespace MoeSharp.Cli;

/// <summary>Errors that a user can act on: one message, no stack trace, the exit code that fits. Anything else is a bug and keeps its trace.</summary>
internal static class Failure
{
    public static bool Explains(Exception error) =>
        error is UsageException or MoeException or IOException or UnauthorizedAccessException or OperationCanceledException || IsOutOfMemory(error);

    public static int Report(Exception error, TextWriter messages, bool isVerbose)
    {
        try
        {
            messages.WriteLine(MessageOf(error));
            if (isVerbose) messages.WriteLine(error);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // nobody reads messages: the exit code says it
        }

        return error switch
        {
            UsageException => ExitCode.Usage,
            OperationCanceledException => ExitCode.Cancelled,
            _ => ExitCode.Failure,
        };
    }

    private static string MessageOf(Exception error) => error switch
    {
        OperationCanceledException => "Stopped.",
        InsufficientMemoryException => error.Message,
        _ when IsOutOfMemory(error) => "There is not enough memory for what was asked. Choose fewer tokens, a smaller batch or a smaller model.",
        _ => error.Message,
    };

    // libtorch tells it in its own words
    private static bool IsOutOfMemory(Exception error) =>
        error is OutOfMemoryException || error is ExternalException && error.Message.Contains("can't allocate memory", StringComparison.Ordinal);
}
