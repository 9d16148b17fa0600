namespace MoeSharp.Cli;

/// <summary>The tool was called wrongly; the message is the one line that the user reads.</summary>
internal sealed class UsageException : Exception
{
    public UsageException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
