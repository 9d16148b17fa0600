namespace MoeSharp;

/// <summary>
/// Every kernel there is, best first for each operation, and the one that this process uses. The choice is made at the first use, from what
/// the processor supports and the environment variable MOESHARP_KERNEL, and holds for the life of the process.
/// </summary>
internal static class KernelCatalog
{
    /// <summary>The environment variable that forces kernels: names separated by commas, at most one per operation.</summary>
    public const string Variable = "MOESHARP_KERNEL";

    /// <summary>The candidates of all operations, best first within each: the list is the documentation.</summary>
    public static IReadOnlyList<KernelCandidate> Tiles { get; } =
    [
        new(new Float32Avx512(), "AVX-512"),
        new(new Float32Avx2(), "AVX2 and FMA"),
        new(new Float32Vector128(), "vectors of 128 bits"),
        new(new Float32Scalar(), "nothing"),
        new(new BFloat16Avx512(), "AVX512-BF16"),
        new(new BFloat16Portable(), "vectors of 128 bits"),
        new(new BFloat16Scalar(), "nothing"),
    ];

    private static readonly Lazy<IReadOnlyList<KernelChoice>> Chosen = new(() => KernelChoice.Make(Tiles, Environment.GetEnvironmentVariable(Variable)));

    /// <summary>The kernels that can run here, in the order of <see cref="Tiles"/>: production chooses one, tests take all.</summary>
    public static IEnumerable<TileKernel> RunnableTiles => Tiles.Where(candidate => candidate.IsSupported).Select(candidate => candidate.Kernel);

    /// <summary>What was chosen, one for each operation.</summary>
    /// <exception cref="MoeException">MOESHARP_KERNEL names what is no kernel, or cannot run here.</exception>
    public static IReadOnlyList<KernelChoice> Choices => Chosen.Value;

    /// <summary>
    /// Kernels that this processor could run and this process does not, and why: a system that forbids code written at run time, or code that
    /// failed its check. For whoever holds a logger to say once.
    /// </summary>
    public static IEnumerable<string> Warnings =>
        from choice in Choices
        from candidate in Tiles.Where(candidate => candidate.Operation == choice.Candidate.Operation)
        where candidate.Fault is not null
        select $"{candidate.Name} is not used, or not for all tiles: {candidate.Fault}. {choice.Candidate.Name} takes its place, and is slower.";

    /// <summary>The kernel that multiplies tiles of a type.</summary>
    /// <exception cref="MoeException">MOESHARP_KERNEL names what is no kernel, or cannot run here.</exception>
    public static TileKernel Tile(TileType type) => Choices.First(choice => choice.Candidate.Kernel.Type == type).Candidate.Kernel;

    /// <summary>The kernel that adds up outer products of float32.</summary>
    public static OuterKernel Outer { get; } = new OuterKernel[] { new Float32OuterAvx512(), new Float32OuterAvx2(), new OuterPortable() }.First(kernel => kernel.IsSupported);

    /// <summary>The kernel of a name.</summary>
    /// <exception cref="MoeException">There is none.</exception>
    public static KernelCandidate Find(string name) => Tiles.FirstOrDefault(candidate => candidate.Name == name) ??
        throw new MoeException($"There is no kernel '{name}'.{ClosestName.Hint(name, Tiles.Select(candidate => candidate.Name))} Kernels: {string.Join(", ", Tiles.Select(candidate => candidate.Name))}.");
}
