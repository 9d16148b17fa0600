using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

/// <summary>How the passes run.</summary>
internal sealed record PassRun
{
    private static readonly WorkerPool Alone = new(1);

    public TileKernel Kernel { get; init; } = KernelCatalog.Tile(TileType.Float32);

    /// <summary>Null for the one that goes with the kernel.</summary>
    public OuterKernel? Outer { get; init; }

    public WorkerPool Pool { get; init; } = Alone;

    /// <summary>Whether the forward pass reads panels that were packed before.</summary>
    public bool IsPacked { get; init; }

    /// <summary>Whether the forward pass keeps panels as it packs them.</summary>
    public bool IsKept { get; init; }

    /// <summary>What the backward pass computes again.</summary>
    public Recompute Recompute { get; init; } = Recompute.Activation;

    /// <summary>Whether arrays end right before a guard page; else they begin right after one.</summary>
    public bool IsAtEnd { get; init; } = true;
}

/// <summary>Both passes over the experts of a problem, for any tokens, with every array of theirs between guard pages.</summary>
internal sealed unsafe class ExpertPasses : IDisposable
{
    private readonly PassRun _run;
    private readonly GuardedArrays _weights;
    private readonly PassMemory _memory = new();
    private readonly ExpertPanels? _panels;
    private readonly PanelStore? _store;
    private readonly ExpertShape _shape;
    private readonly ForwardPass _forward;
    private readonly BackwardPass _backward;

    public ExpertPasses(ExpertProblem problem, PassRun run)
    {
        var setup = problem.Setup;
        _run = run;
        _weights = new GuardedArrays(run.IsAtEnd);
        _shape = new ExpertShape(setup.Hidden, setup.Intermediate, run.Kernel.Type);
        var matrices = new ExpertMatrices(_shape, Place(problem.Gate), Place(problem.Up), Place(problem.Down), Place(problem.GateBias), Place(problem.UpBias), Place(problem.DownBias));
        if (run.IsPacked) _panels = Pack(problem, matrices);
        if (run.IsKept) _store = new PanelStore(_shape, setup.Experts);
        var epilogue = GatedEpilogue.Create(setup.Activation, setup.Limit);
        _forward = new ForwardPass(_panels ?? _store?.Of(matrices) ?? matrices, run.Kernel, epilogue, setup.ApplyTo);
        _backward = new BackwardPass(matrices, run.Kernel, run.Outer ?? KernelCatalog.Outer(run.Kernel.Type), epilogue, setup.ApplyTo);

        float* Place(float[]? values) => values is null ? null : _weights.Of(values);
    }

    /// <summary>The values of both passes.</summary>
    public static Dictionary<PassValue, float[]> Run(ExpertProblem problem, PassRun run)
    {
        using var passes = new ExpertPasses(problem, run);
        return passes.Run(problem);
    }

    /// <summary>The values of both passes.</summary>
    public Dictionary<PassValue, float[]> Run(ExpertProblem problem) => Run(problem, Gradients(problem.Setup));

    /// <summary>The outputs and some of the gradients.</summary>
    public Dictionary<PassValue, float[]> Run(ExpertProblem problem, IEnumerable<PassValue> gradients)
    {
        using var arrays = new GuardedArrays(_run.IsAtEnd);
        var (setup, plan) = (problem.Setup, problem.Plan);
        var places = gradients.Prepend(PassValue.Outputs).ToDictionary(value => value, value => (nint)arrays.Room(ExpertReference.Count(setup, value)));
        float* x = arrays.Of(problem.X), room = arrays.Room((int)KeptRows.Count(_shape, plan.Order.Length, _run.Recompute));
        var kept = new KeptRows(room, _shape, plan.Order.Length, _run.Recompute);

        _forward.Run(_run.Pool, _memory, new(x, setup.Hidden), plan, new((float*)places[PassValue.Outputs], setup.Hidden), kept);
        _backward.Run(_run.Pool, _memory, x, plan, kept, arrays.Of(problem.Dy), new ExpertGradients
        {
            Tokens = Place(PassValue.Tokens),
            Weights = Place(PassValue.Weights),
            Gate = Place(PassValue.Gate),
            Up = Place(PassValue.Up),
            Down = Place(PassValue.Down),
            GateBias = Place(PassValue.GateBias),
            UpBias = Place(PassValue.UpBias),
            DownBias = Place(PassValue.DownBias),
        });

        return places.ToDictionary(place => place.Key, place => new Span<float>((float*)place.Value, ExpertReference.Count(setup, place.Key)).ToArray());

        float* Place(PassValue value) => (float*)places.GetValueOrDefault(value);
    }

    /// <summary>All gradients that experts have.</summary>
    public static IEnumerable<PassValue> Gradients(ExpertSetup setup) =>
        Enum.GetValues<PassValue>().Where(value => value != PassValue.Outputs && (setup.HasBias || value < PassValue.GateBias));

    public void Dispose()
    {
        _weights.Dispose();
        _memory.Dispose();
        _panels?.Dispose();
        _store?.Dispose();
    }

    private ExpertPanels Pack(ExpertProblem problem, ExpertMatrices matrices)
    {
        int H = _shape.Intermediate, D = _shape.Hidden;
        var panels = new ExpertPanels(_shape, problem.Setup.Experts, problem.Setup.HasBias);
        for (int e = 0; e < panels.Count; e++)
        {
            panels.Pack(e, matrices.Gate(e), matrices.UpOf(e), matrices.DownOf(e));
            if (problem.Setup.HasBias) panels.PackBias(e, problem.GateBias.AsSpan(e * H, H), problem.UpBias.AsSpan(e * H, H), problem.DownBias.AsSpan(e * D, D));
        }

        return panels;
    }
}

/// <summary>Arrays of float32, each in memory of its own between guard pages.</summary>
internal sealed unsafe class GuardedArrays(bool isAtEnd) : IDisposable
{
    private readonly List<GuardedMemory> _memory = [];

    /// <summary>A copy of values.</summary>
    public float* Of(float[] values)
    {
        float* start = Room(values.Length);
        values.CopyTo(new Span<float>(start, values.Length));
        return start;
    }

    /// <summary>Room for values, not a number until they are written.</summary>
    public float* Room(int count)
    {
        float* start = (float*)Place(count * sizeof(float));
        new Span<float>(start, count).Fill(float.NaN);
        return start;
    }

    /// <summary>A copy of the bits of bfloat16.</summary>
    public ushort* Of(ushort[] bits)
    {
        ushort* start = (ushort*)Place(bits.Length * sizeof(ushort));
        bits.CopyTo(new Span<ushort>(start, bits.Length));
        return start;
    }

    private byte* Place(int bytes)
    {
        var memory = new GuardedMemory(bytes + 1);
        _memory.Add(memory);
        return (byte*)(isAtEnd ? memory.Last(bytes) : memory.First(bytes));
    }

    public void Dispose()
    {
        foreach (var memory in _memory) memory.Dispose();
    }
}
