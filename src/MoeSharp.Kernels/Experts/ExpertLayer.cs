using System.Collections.Concurrent;

namespace MoeSharp;

/// <summary>
/// The experts of a layer for inference, on spans: y = Σ weight · down(activation(gate(x)) ⊙ up(x)) over the experts of each token, and the
/// shared expert where there is one. It keeps weights of its own, packed once for the kernels of this processor. Load every expert, then call
/// <see cref="Forward"/>.
/// </summary>
/// <remarks>
/// A token has the same bits for any number of threads and whatever tokens share its call. Every member may be called from many threads at
/// once. A call takes the threads of the process's pool (the environment variable MOESHARP_THREADS, else one per processor); what is called
/// meanwhile runs on its own thread.
/// </remarks>
public sealed unsafe class ExpertLayer : IDisposable
{
    private readonly ExpertPanels _panels;
    private readonly TileKernel _kernel;
    private readonly GatedEpilogue _epilogue;
    private readonly LoadedExperts _weights, _biases;
    private readonly ConcurrentBag<ForwardPass> _passes = [];
    private readonly SharedWeights? _shared;
    private readonly UseCount _uses;

    /// <summary>Makes room for the weights of all experts.</summary>
    /// <param name="options">The layer: the number of experts, their sizes and options, what weights apply to, and the shared expert.</param>
    /// <param name="precision">The type in which weights are kept and multiplied, whatever type they are loaded from; default float32.</param>
    /// <exception cref="ArgumentException">The options have faults, which the message lists, or a size above 2²⁴.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the weights.</exception>
    public ExpertLayer(MoeOptions options, ExpertPrecision precision = ExpertPrecision.Float32)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        LayerCheck.Sizes(options);
        var type = TypeOf(precision);
        (Options, Precision) = (options, precision);
        _kernel = KernelCatalog.Tile(type);
        _epilogue = GatedEpilogue.Create(options.Experts.Activation, options.Experts.Limit);
        _panels = new ExpertPanels(new ExpertShape(options.HiddenSize, options.Experts.IntermediateSize, type), options.Router.ExpertCount, options.Experts.HasBias);
        _shared = options.Shared is { } shared ? new SharedWeights(options, shared, type) : null;
        _uses = new UseCount(Free);
        _weights = new LoadedExperts(options.Router.ExpertCount, "weights");
        _biases = new LoadedExperts(options.Experts.HasBias ? options.Router.ExpertCount : 0, "biases");
        Parts = _shared is null ? [_weights, _biases] : [_weights, _biases, _shared];
    }

    /// <summary>What the layer was made from.</summary>
    public MoeOptions Options { get; }

    /// <summary>The type in which weights are kept and multiplied.</summary>
    public ExpertPrecision Precision { get; }

    /// <summary>The bytes that the packed weights and biases of all experts take, the shared one included, from the constructor to the disposal.</summary>
    public long PackedBytes => _panels.Bytes + (_shared?.Bytes ?? 0);

    /// <summary>What has to be loaded.</summary>
    internal ILayerPart[] Parts { get; }

    /// <summary>
    /// Packs the weights of one expert, on the calling thread, reading each once: the spans may well be of a memory-mapped file. Experts may be
    /// loaded in any order and at the same time. Loading one again replaces it: do so while no <see cref="Forward"/> runs, which would read
    /// some of both.
    /// </summary>
    /// <param name="expert">The expert, 0 to E - 1.</param>
    /// <param name="gate">The gate projection [H, D], rows are outputs.</param>
    /// <param name="up">The up projection [H, D].</param>
    /// <param name="down">The down projection [D, H].</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such expert.</exception>
    /// <exception cref="ArgumentException">A span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">Another call is loading the same expert.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void Load(int expert, ReadOnlySpan<float> gate, ReadOnlySpan<float> up, ReadOnlySpan<float> down) => LoadWeights(expert, gate, up, down);

    /// <summary>Packs the weights of one expert from the bits of bfloat16, as files have them; else as from float32, and without a copy in it.</summary>
    /// <inheritdoc cref="Load(int, ReadOnlySpan{float}, ReadOnlySpan{float}, ReadOnlySpan{float})"/>
    public void Load(int expert, ReadOnlySpan<ushort> gate, ReadOnlySpan<ushort> up, ReadOnlySpan<ushort> down) => LoadWeights(expert, gate, up, down);

    /// <summary>Takes the biases of one expert, for layers that have them (<see cref="ExpertOptions.HasBias"/>). They are kept in float32.</summary>
    /// <param name="expert">The expert, 0 to E - 1.</param>
    /// <param name="gate">The bias of the gate projection [H].</param>
    /// <param name="up">The bias of the up projection [H].</param>
    /// <param name="down">The bias of the down projection [D].</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such expert.</exception>
    /// <exception cref="ArgumentException">A span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have no biases, or another call is loading those of the same expert.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadBias(int expert, ReadOnlySpan<float> gate, ReadOnlySpan<float> up, ReadOnlySpan<float> down)
    {
        CheckExpert(expert);
        if (!Options.Experts.HasBias) throw new InvalidOperationException("The options of this layer say that experts have no biases; set Experts.HasBias.");
        LayerCheck.Length(gate.Length, Options.Experts.IntermediateSize, nameof(gate), "IntermediateSize");
        LayerCheck.Length(up.Length, Options.Experts.IntermediateSize, nameof(up), "IntermediateSize");
        LayerCheck.Length(down.Length, Options.HiddenSize, nameof(down), "HiddenSize");
        using var use = _uses.Enter(this);
        _biases.Begin(expert);
        _panels.PackBias(expert, gate, up, down);
        _biases.End(expert);
    }

    /// <summary>Takes the biases of one expert from the bits of bfloat16.</summary>
    /// <inheritdoc cref="LoadBias(int, ReadOnlySpan{float}, ReadOnlySpan{float}, ReadOnlySpan{float})"/>
    public void LoadBias(int expert, ReadOnlySpan<ushort> gate, ReadOnlySpan<ushort> up, ReadOnlySpan<ushort> down) =>
        LoadBias(expert, Widened(gate), Widened(up), Widened(down));

    /// <summary>
    /// Packs the weights of the shared expert (<see cref="MoeOptions.Shared"/>), on the calling thread; at the same time as other experts.
    /// Loading it again replaces it: do so while no <see cref="Forward"/> runs.
    /// </summary>
    /// <param name="gate">The gate projection [W, D], rows are outputs.</param>
    /// <param name="up">The up projection [W, D].</param>
    /// <param name="down">The down projection [D, W].</param>
    /// <param name="router">The row [D] whose sigmoid with a token weights the output, kept in float32; empty unless <see cref="SharedExpertOptions.IsGated"/>.</param>
    /// <exception cref="ArgumentException">A span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have no shared expert, or another call is loading it.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadShared(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, ReadOnlySpan<float> down, ReadOnlySpan<float> router = default) =>
        LoadSharedWeights(gate, up, down, router);

    /// <summary>Packs the weights of the shared expert from the bits of bfloat16; else as from float32.</summary>
    /// <inheritdoc cref="LoadShared(ReadOnlySpan{float}, ReadOnlySpan{float}, ReadOnlySpan{float}, ReadOnlySpan{float})"/>
    public void LoadShared(ReadOnlySpan<ushort> gate, ReadOnlySpan<ushort> up, ReadOnlySpan<ushort> down, ReadOnlySpan<ushort> router = default) =>
        LoadSharedWeights(gate, up, down, Widened(router));

    /// <summary>Computes the weighted sums of the tokens' experts, and adds the shared expert's output where there is one. Nothing is allocated once a call of as many tokens was made.</summary>
    /// <param name="tokens">The tokens [T, D].</param>
    /// <param name="plan">Who goes where, of a <see cref="RoutingKernel"/>.</param>
    /// <param name="sums">Receives the sums [T, D]; zeros for a token without any expert. May not overlap the tokens. After an error its content means nothing.</param>
    /// <exception cref="ArgumentException">A span has the wrong length, the spans overlap, or the plan is of another layer or was changed.</exception>
    /// <exception cref="InvalidOperationException">Some experts were not loaded; the message says which.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the rows of the plan.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed. Calls that run by then end as if it were not.</exception>
    public void Forward(ReadOnlySpan<float> tokens, RoutingPlan plan, Span<float> sums)
    {
        ArgumentNullException.ThrowIfNull(plan);
        using var use = _uses.Enter(this);
        PlanCheck.Check(plan, Options.Router.ExpertCount);
        long size = (long)plan.TokenCount * Options.HiddenSize;
        if (tokens.Length != size) LayerCheck.Length(tokens.Length, size, nameof(tokens), $"{plan.TokenCount} tokens of the plan · HiddenSize {Options.HiddenSize}");
        LayerCheck.Length(sums.Length, tokens.Length, nameof(sums), "as the tokens");
        if (sums.Overlaps(tokens)) throw new ArgumentException("The sums overlap the tokens; give memory of their own.", nameof(sums));
        ILayerPart.Require(Parts);

        // after an error neither is used again
        var pass = _passes.TryTake(out var idle) ? idle : new ForwardPass(_panels, _kernel, _epilogue, Options.Router.ApplyTo, _shared?.Panels);
        var memory = PassMemory.Rent();
        fixed (float* x = tokens, y = sums) pass.Run(WorkerPool.Shared, memory, new(x, Options.HiddenSize), plan, new(y, Options.HiddenSize));
        memory.Return();
        _passes.Add(pass);
    }

    /// <summary>Frees the weights, once calls that run have ended; it does not wait for them. Later calls throw <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose() => _uses.Close();

    /// <summary>Begins to load an expert by <see cref="LoadPart"/>.</summary>
    internal void BeginParts(int expert) => _weights.Begin(expert);

    /// <summary>Packs one of so many parts of an expert, of all of whose weights the spans are. Parts may be packed at the same time.</summary>
    internal void LoadPart<T>(int expert, ReadOnlySpan<T> gate, ReadOnlySpan<T> up, ReadOnlySpan<T> down, int part, int parts)
        where T : unmanaged
    {
        CheckWeights(expert, gate.Length, up.Length, down.Length);
        using var use = _uses.Enter(this);
        fixed (T* g = gate, u = up, d = down) _panels.Pack(expert, g, u, d, part, parts);
    }

    /// <summary>Says that all parts of an expert are there.</summary>
    internal void EndParts(int expert) => _weights.End(expert);

    private void LoadWeights<T>(int expert, ReadOnlySpan<T> gate, ReadOnlySpan<T> up, ReadOnlySpan<T> down)
        where T : unmanaged
    {
        CheckWeights(expert, gate.Length, up.Length, down.Length);
        using var use = _uses.Enter(this);
        _weights.Begin(expert);
        fixed (T* g = gate, u = up, d = down) _panels.Pack(expert, g, u, d);
        _weights.End(expert);
    }

    private void CheckWeights(int expert, int gate, int up, int down)
    {
        CheckExpert(expert);
        long size = (long)Options.HiddenSize * Options.Experts.IntermediateSize;
        string meaning = $"IntermediateSize {Options.Experts.IntermediateSize} · HiddenSize {Options.HiddenSize}";
        LayerCheck.Length(gate, size, nameof(gate), meaning);
        LayerCheck.Length(up, size, nameof(up), meaning);
        LayerCheck.Length(down, size, nameof(down), meaning);
    }

    private void LoadSharedWeights<T>(ReadOnlySpan<T> gate, ReadOnlySpan<T> up, ReadOnlySpan<T> down, ReadOnlySpan<float> router)
        where T : unmanaged
    {
        if (Options.Shared is not { } shared) throw new InvalidOperationException("The options of this layer have no shared expert; set Shared.");

        long size = (long)Options.HiddenSize * shared.IntermediateSize;
        string meaning = $"Shared.IntermediateSize {shared.IntermediateSize} · HiddenSize {Options.HiddenSize}";
        LayerCheck.Length(gate.Length, size, nameof(gate), meaning);
        LayerCheck.Length(up.Length, size, nameof(up), meaning);
        LayerCheck.Length(down.Length, size, nameof(down), meaning);
        LayerCheck.Length(router.Length, shared.IsGated ? Options.HiddenSize : 0, nameof(router), shared.IsGated ? "HiddenSize" : "Shared.IsGated is false");
        using var use = _uses.Enter(this);
        _shared!.Load(gate, up, down, router);      // there is one in the options
    }

    private void Free()
    {
        _panels.Dispose();
        _shared?.Dispose();
    }

    private void CheckExpert(int expert)
    {
        int count = Options.Router.ExpertCount;
        if ((uint)expert >= (uint)count) throw new ArgumentOutOfRangeException(nameof(expert), expert, $"The layer has experts 0..{count - 1}.");
    }

    /// <summary>What products of a precision read.</summary>
    internal static TileType TypeOf(ExpertPrecision precision) => precision switch
    {
        ExpertPrecision.Float32 => TileType.Float32,
        ExpertPrecision.BFloat16 => TileType.BFloat16,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "No such precision."),
    };

    private static float[] Widened(ReadOnlySpan<ushort> values)
    {
        float[] wide = new float[values.Length];
        BFloat16Values.Widen(values, wide);
        return wide;
    }
}
