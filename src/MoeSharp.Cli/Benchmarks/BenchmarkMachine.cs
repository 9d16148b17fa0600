using System.Globalization;

namespace MoeSharp.Cli;

/// <summary>What a layer benchmark ran on, and with.</summary>
/// <param name="Processor">The name of the processor.</param>
/// <param name="Cores">The processors that the system shows.</param>
/// <param name="Vectors">The vectors that .NET uses.</param>
/// <param name="OperatingSystem">The system.</param>
/// <param name="Runtime">The .NET runtime.</param>
/// <param name="Libraries">What computed, with versions.</param>
/// <param name="Threads">The threads of every engine.</param>
/// <param name="Pinned">Whether each stays on a processor of its own.</param>
/// <param name="Date">The day, in universal time, as 2026-12-31; null in reports of old.</param>
internal sealed record BenchmarkMachine(
    string Processor, int Cores, string Vectors, string OperatingSystem, string Runtime, IReadOnlyList<string> Libraries, int Threads, bool Pinned, string? Date)
{
    public static BenchmarkMachine Describe(IEnumerable<LayerEngine> engines, bool pinned, TimeProvider time)
    {
        var machine = Machine.Describe();
        return new(
            machine.Processor, machine.Cores, machine.Vectors, machine.OperatingSystem, machine.Runtime, [.. engines.Select(engine => engine.Library()).Distinct()],
            WorkerPool.Shared.Threads, pinned, time.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
    }
}
