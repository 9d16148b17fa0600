using System.Text.Json;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary><c>moesharp kernels</c>: what computes here and why, and the machine code of what is assembled at run time.</summary>
internal static class KernelsCommand
{
    private static readonly string[] Names = [.. KernelCatalog.Candidates.Select(candidate => candidate.Name)];

    private static readonly string[] Assembled = [.. KernelCatalog.Candidates.Where(candidate => candidate.Kernel is IAssembledKernel).Select(candidate => candidate.Name)];

    public static ToolCommand Create(Surroundings surroundings)
    {
        var json = ToolOption.Flag("--json", "print the table as one JSON object");
        var dump = ToolOption.Of("--dump", "NAME", ValueKind.Text with { Words = Assembled }, $"print the code of an assembled kernel, whether it can run here or not: {string.Join(", ", Assembled)}");
        var rows = ToolOption.Of("--rows", "N", ValueKind.WholeNumberFrom(1), "rows of the tile", "as many as it can have");
        var prefetch = ToolOption.Of("--prefetch", "none|own|next", ValueKind.Choice<TilePrefetch>(), "what the tile fetches ahead: nothing, its own panel, or the next one", "none");
        var command = new ToolCommand("kernels", "Show the kernels for every operation, which of them this machine uses, and why.")
        {
            Note = $"{KernelCatalog.Variable} forces kernels, by name, separated by commas; {WorkerPool.Variable} sets the number of threads. A warning says where a kernel that the processor could run is not used.",
            Examples = ["moesharp kernels", "MOESHARP_KERNEL=matmul.f32.scalar moesharp kernels", "moesharp kernels --dump matmul.bf16.avx512.asm --rows 1"],
        };
        command.Add("Output", json);
        command.Add("Machine code", dump, rows, prefetch);
        command.Does(parsed =>
        {
            if (parsed.TryGet(dump, out var name))
            {
                if (parsed.GetValue(json)) throw new UsageException("--dump prints machine code; leave out --json.");

                Dump(surroundings, name!, parsed.TryGet(rows, out var count) ? count : null, parsed.GetValue(prefetch));
                return ExitCode.Success;
            }

            if (parsed.TryGet(rows, out _)) throw new UsageException("--rows goes with --dump NAME, which is missing.");
            if (parsed.TryGet(prefetch, out _)) throw new UsageException("--prefetch goes with --dump NAME, which is missing.");

            List(surroundings, parsed.GetValue(json));
            return ExitCode.Success;
        });
        return command;
    }

    private static void List(Surroundings surroundings, bool isJson)
    {
        var listing = surroundings.Engine.Kernels();
        if (isJson) surroundings.Output.WriteLine(JsonSerializer.Serialize(listing, CliJsonContext.Readable.KernelListing));
        else listing.Write(surroundings);

        foreach (string warning in listing.Warnings) surroundings.Error.WriteLine(warning);
    }

    private static void Dump(Surroundings surroundings, string name, int? rows, TilePrefetch prefetch)
    {
        var candidate = KernelCatalog.Candidates.FirstOrDefault(candidate => candidate.Name == name)
            ?? throw new UsageException($"Unknown kernel '{name}'.{Hint(name)} Kernels with code to print: {string.Join(", ", Assembled)}.");
        if (candidate.Kernel is not IAssembledKernel kernel)
        {
            throw new UsageException($"{name} is C#, which the runtime compiles: run a program that uses it with DOTNET_JitDisasm='Tile Multiply' to see its code. Kernels with code to print: {string.Join(", ", Assembled)}.");
        }

        int most = candidate.Kernel.MaxRows, count = rows ?? most;
        if (count > most) throw new UsageException($"--rows is '{count}', but the tiles of {name} have 1 to {most} rows.");

        if (kernel is OuterKernel && prefetch != TilePrefetch.None) throw new UsageException($"--prefetch is '{ChoiceWord.Of(prefetch.ToString())}', but {name} fetches nothing ahead.");

        byte[] code = kernel.Code(count, prefetch);
        surroundings.Output.WriteLine($"; {name}: {Quantity.Counted(count, "row", "rows")}, prefetch {ChoiceWord.Of(prefetch.ToString())}, {code.Length} bytes");
        if (candidate.Obstacle is { } obstacle) surroundings.Output.WriteLine($"; cannot run here: it {obstacle}");
        foreach (string line in Disassembly.Lines(code)) surroundings.Output.WriteLine(line);
    }

    // first among those that have code to print
    private static string Hint(string name) => ClosestName.Hint(name, Assembled) is { Length: > 0 } hint ? hint : ClosestName.Hint(name, Names);
}
