namespace MoeSharp;

/// <summary>A kernel of the catalogue, as this machine sees it.</summary>
/// <param name="Kernel">The kernel.</param>
/// <param name="Needs">What it needs of a processor, to follow "needs".</param>
internal sealed record KernelCandidate(IKernel Kernel, string Needs)
{
    public string Name => Kernel.Name;

    /// <summary>The operation and type that it competes for: its name without the instructions.</summary>
    public string Operation => string.Join('.', Name.Split('.')[..2]);

    public bool IsSupported => Kernel.IsSupported;

    /// <summary>Why it cannot run here; null when it can.</summary>
    public string? Obstacle => IsSupported ? null : (Kernel as IAssembledKernel)?.Obstacle ?? $"needs {Needs}";

    /// <summary>What keeps an assembled kernel from running although the processor has its instructions; null when nothing does.</summary>
    public string? Fault => (Kernel as IAssembledKernel)?.Fault;
}
