namespace MoeSharp.Cli;

/// <summary>What the tool tells the shell.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Success = 0;

    /// <summary>The work failed, or what was verified differs.</summary>
    public const int Failure = 1;

    /// <summary>The tool was called wrongly: nothing was started.</summary>
    public const int Usage = 2;

    /// <summary>Stopped by Ctrl-C or SIGTERM.</summary>
    public const int Cancelled = 130;
}
