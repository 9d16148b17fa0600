using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MoeSharp.Cli.Tests;

/// <summary>The tool as a process of its own, for what only processes do: signals, sudden ends, exit codes.</summary>
internal sealed class ToolProcess : IDisposable
{
    private const int Interrupt = 2;

    private readonly Process _process;
    private readonly Task<string> _output, _error;

    public ToolProcess(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "MoeSharp.Cli.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        _process = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start.");
        _process.StandardInput.Close();
        _output = _process.StandardOutput.ReadToEndAsync();
        _error = _process.StandardError.ReadToEndAsync();
    }

    public bool HasExited => _process.HasExited;

    /// <summary>Waits for the end.</summary>
    public (int ExitCode, string Output, string Error) Finish()
    {
        if (!_process.WaitForExit(TimeSpan.FromMinutes(5))) throw new TimeoutException("The tool has run for five minutes.");
        return (_process.ExitCode, _output.GetAwaiter().GetResult(), _error.GetAwaiter().GetResult());
    }

    /// <summary>Ctrl-C.</summary>
    public void Signal() => Assert.Equal(0, Kill(_process.Id, Interrupt));

    /// <summary>Ends the process at once, as a power cut would.</summary>
    public void KillNow()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }

    [DllImport("libc", EntryPoint = "kill"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
