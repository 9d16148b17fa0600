using System.Runtime.InteropServices;

namespace MoeSharp.Cli;

/// <summary>Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the process at once.</summary>
internal sealed partial class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly Action _onFirst;
    private readonly Action<int> _exit;
    private readonly IReadOnlyList<PosixSignalRegistration> _registrations;
    private int _count;

    /// <param name="onFirst">Called once, from the thread that serves signals.</param>
    /// <param name="exit">Ends the process; null for the real end.</param>
    public StopSignals(Action onFirst, Action<int>? exit = null)
    {
        (_onFirst, _exit) = (onFirst, exit ?? ExitAtOnce);
        _registrations = [PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle), PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle)];
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _count) > 1) _exit(ExitCode.Cancelled);

        _onFirst();
        _source.Cancel();
    }

    // Environment.Exit would run the destructors of libtorch while its threads still compute
    private static void ExitAtOnce(int code)
    {
        if (OperatingSystem.IsWindows()) Environment.Exit(code);
        else Exit(code);
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);
}
