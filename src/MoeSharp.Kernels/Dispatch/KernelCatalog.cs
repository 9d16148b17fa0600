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
    public static IReadOnlyList<KernelCandidate> Candidates { get; } =
    [
        new(new Float32Avx512(), "AVX-512"),
        new(new Float32Avx2(), "AVX2 and FMA"),
        new(new Float32Vector128(), "vectors of 128 bits"),
        new(new Float32Scalar(), "nothing"),
        new(new BFloat16Avx512(), "AVX512-BF16"),
        new(new BFloat16Portable(), "vectors of 128 bits"),
        new(new BFloat16Scalar(), "nothing"),
        new(new Float32OuterAvx512(), "AVX-512"),
        new(new Float32OuterAvx2(), "AVX2 and FMA"),
        new(new Float32OuterVector128(), "vectors of 128 bits"),
        new(new OuterScalar(), "nothing"),
        new(new BFloat16OuterAvx512(), "AVX512-BF16"),
        new(new BFloat16OuterPortable(), "vectors of 128 bits"),
        new(new BFloat16OuterScalar(), "nothing"),
    ];

    private static readonly Lazy<IReadOnlyList<KernelChoice>> Chosen = new(() => KernelChoice.Make(Candidates, Environment.GetEnvironmentVariable(Variable)));

    /// <summary>The tiles that can run here, in the order of <see cref="Candidates"/>: production chooses one, tests take all.</summary>
    public static IEnumerable<TileKernel> RunnableTiles => Runnable<TileKernel>();

    /// <summary>The outer products that can run here, in the order of <see cref="Candidates"/>.</summary>
    public static IEnumerable<OuterKernel> RunnableOuters => Runnable<OuterKernel>();

    /// <summary>What was chosen, one for each operation.</summary>
    /// <exception cref="MoeException">MOESHARP_KERNEL names what is no kernel, or cannot run here.</exception>
    public static IReadOnlyList<KernelChoice> Choices => Chosen.Value;

    /// <summary>
    /// Kernels that this processor could run and this process does not, and why: a system that forbids code written at run time, or code that
    /// failed its check. For whoever holds a logger to say once.
    /// </summary>
    public static IEnumerable<string> Warnings => Choices.SelectMany(choice => choice.WarningsOf(Candidates));

    /// <summary>The kernel that multiplies tiles of a type.</summary>
    /// <exception cref="MoeException">MOESHARP_KERNEL names what is no kernel, or cannot run here.</exception>
    public static TileKernel Tile(TileType type) => Choose<TileKernel>(type);

    /// <summary>The kernel that multiplies outer products of a type.</summary>
    /// <exception cref="MoeException">MOESHARP_KERNEL names what is no kernel, or cannot run here.</exception>
    public static OuterKernel Outer(TileType type) => Choose<OuterKernel>(type);

    /// <summary>The type in which a pass with a gradient multiplies bfloat16: its own where the chosen kernels use instructions for it, else float32, which is faster then.</summary>
    public static TileType TypeForBFloat16 => Tile(TileType.BFloat16) is IAssembledKernel && Outer(TileType.BFloat16) is IAssembledKernel ? TileType.BFloat16 : TileType.Float32;

    private static TKernel Choose<TKernel>(TileType type)
        where TKernel : IKernel => Choices.Select(choice => choice.Candidate.Kernel).OfType<TKernel>().First(kernel => kernel.Type == type);

    private static IEnumerable<TKernel> Runnable<TKernel>()
        where TKernel : IKernel => Candidates.Select(candidate => candidate.Kernel).OfType<TKernel>().Where(kernel => kernel.IsSupported);
}
