namespace MoeSharp;

/// <summary>The kernel that does an operation in this process.</summary>
/// <param name="Candidate">The kernel.</param>
/// <param name="Reason">Why this one.</param>
internal sealed record KernelChoice(KernelCandidate Candidate, string Reason)
{
    /// <summary>
    /// One choice per operation: what <paramref name="wish"/> names, else the first candidate that can run.
    /// </summary>
    /// <param name="candidates">Candidates, best first within each operation.</param>
    /// <param name="wish">Names separated by commas, as in MOESHARP_KERNEL; null or empty for none.</param>
    /// <exception cref="MoeException">The wish names no kernel, one that cannot run here, or two for one operation.</exception>
    public static IReadOnlyList<KernelChoice> Make(IReadOnlyList<KernelCandidate> candidates, string? wish)
    {
        var wished = Wished(candidates, wish);
        return
        [
            .. candidates.GroupBy(candidate => candidate.Operation).Select(operation =>
                wished.TryGetValue(operation.Key, out var named)
                    ? new KernelChoice(named, $"{KernelCatalog.Variable} names it")
                    : new KernelChoice(operation.First(candidate => candidate.IsSupported), "the first that can run here")),
        ];
    }

    /// <summary>Candidates for the same operation that this processor could run, if nothing were wrong with them.</summary>
    public IEnumerable<string> WarningsOf(IEnumerable<KernelCandidate> candidates) =>
        from candidate in candidates
        where candidate.Operation == Candidate.Operation && candidate.Fault is not null
        select $"{candidate.Name} is not used, or not for all tiles: {candidate.Fault}. {Candidate.Name} takes its place, and is slower.";

    private static Dictionary<string, KernelCandidate> Wished(IReadOnlyList<KernelCandidate> candidates, string? wish)
    {
        var wished = new Dictionary<string, KernelCandidate>();
        foreach (string name in (wish ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var candidate = candidates.FirstOrDefault(candidate => candidate.Name == name)
                ?? throw Refused($"names '{name}', which is no kernel.{ClosestName.Hint(name, candidates.Select(candidate => candidate.Name))}", candidates);
            if (candidate.Obstacle is { } obstacle) throw Refused($"names '{name}', which cannot run here: it {obstacle}.", candidates);
            if (!wished.TryAdd(candidate.Operation, candidate)) throw Refused($"names both '{wished[candidate.Operation].Name}' and '{name}' for {candidate.Operation}; name one.", candidates);
        }

        return wished;
    }

    private static MoeException Refused(string fault, IEnumerable<KernelCandidate> candidates) =>
        new($"The environment variable {KernelCatalog.Variable} {fault} Kernels that can run here: {string.Join(", ", candidates.Where(candidate => candidate.IsSupported).Select(candidate => candidate.Name))}.");
}
