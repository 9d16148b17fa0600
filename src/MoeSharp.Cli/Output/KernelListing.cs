namespace MoeSharp.Cli;

/// <summary>The kernels of the library, those that a process uses, and why: what <c>moesharp kernels</c> prints, and its JSON.</summary>
internal sealed record KernelListing(
    int Version, IReadOnlyList<KernelOperation> Operations, int Threads, IReadOnlyDictionary<string, string?> Environment, IReadOnlyList<string> Warnings)
{
    /// <summary>As this process sees them.</summary>
    /// <exception cref="MoeException">An environment variable asks for what cannot be.</exception>
    public static KernelListing OfProcess() => Of(System.Environment.GetEnvironmentVariable);

    /// <summary>As a process with these environment variables sees them.</summary>
    /// <exception cref="MoeException">An environment variable asks for what cannot be.</exception>
    public static KernelListing Of(Func<string, string?> variable)
    {
        var (kernel, threads) = (variable(KernelCatalog.Variable), variable(WorkerPool.Variable));
        var choices = KernelChoice.Make(KernelCatalog.Candidates, kernel);
        return new(
            1,
            [.. choices.Select(choice => KernelOperation.Of(choice))],
            WorkerPool.ThreadsFrom(threads),
            new Dictionary<string, string?> { [KernelCatalog.Variable] = kernel, [WorkerPool.Variable] = threads },
            [.. choices.SelectMany(choice => choice.WarningsOf(KernelCatalog.Candidates))]);
    }

    /// <summary>For people.</summary>
    public void Write(Surroundings surroundings)
    {
        var table = new TableWriter("operation", "kernel", "can run here", "choice");
        foreach (var operation in Operations)
        {
            foreach (var (name, obstacle) in operation.Candidates)
            {
                bool isChosen = name == operation.Chosen;
                table.Add([operation.Operation, name, obstacle is null ? "yes" : $"no: {obstacle}", isChosen ? $"chosen: {operation.Reason}" : ""], isChosen ? "green" : null);
            }
        }

        table.Write(surroundings);
        surroundings.Output.WriteLine();
        surroundings.Output.WriteLine($"{Setting(KernelCatalog.Variable)}.");
        surroundings.Output.WriteLine($"{Setting(WorkerPool.Variable)}: {Quantity.Counted(Threads, "thread", "threads")}.");
    }

    private string Setting(string variable) => Environment[variable] is { Length: > 0 } value ? $"{variable} is '{value}'" : $"{variable} is not set";
}

/// <summary>An operation on a type, and its kernels.</summary>
internal sealed record KernelOperation(string Operation, string Chosen, string Reason, IReadOnlyList<KernelRow> Candidates)
{
    public static KernelOperation Of(KernelChoice choice) => new(
        choice.Candidate.Operation,
        choice.Candidate.Name,
        choice.Reason,
        [.. KernelCatalog.Candidates.Where(candidate => candidate.Operation == choice.Candidate.Operation).Select(candidate => new KernelRow(candidate.Name, candidate.Obstacle))]);
}

/// <summary>A kernel, and why it cannot run here; null when it can.</summary>
internal sealed record KernelRow(string Name, string? Obstacle);
