using System.Collections.Concurrent;

namespace MoeSharp;

/// <summary>
/// The router's matrix on spans: tokens [T, D] to one logit per expert [T, E], x·Wᵀ (+ bias), with a normalisation of what it reads where the
/// options have one (<see cref="RouterOptions.InputNorm"/>). It keeps a weight of its own in float32, packed for the kernels of this
/// processor, and computes in float32 whatever the experts' type: rounding would reorder close experts.
/// </summary>
/// <remarks>
/// A token has the same bits for any number of threads and whatever tokens share its call. Every member may be called from many threads at
/// once; loading again replaces what was there: do so while no <see cref="Forward"/> runs, which would read some of both.
/// </remarks>
public sealed unsafe class GateKernel : IDisposable
{
    private readonly GatePanels _panels;
    private readonly TileKernel _kernel = KernelCatalog.Tile(TileType.Float32);
    private readonly LayerPart _weight, _bias, _scale;
    private readonly ConcurrentBag<GatePass> _passes = [];
    private readonly Lock _loading = new();
    private readonly UseCount _uses;

    /// <summary>Makes room for the weight.</summary>
    /// <param name="options">The layer: its width, its number of experts, and whether its router has a logit bias and an input norm.</param>
    /// <exception cref="ArgumentException">The options have faults, which the message lists, or a size above 2²⁴.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the weight.</exception>
    public GateKernel(MoeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        LayerCheck.Sizes(options);
        Options = options;
        var (E, D, router) = (options.Router.ExpertCount, options.HiddenSize, options.Router);
        _panels = new GatePanels(options);
        _uses = new UseCount(_panels.Dispose);
        _weight = new LayerPart("weight", (long)E * D, $"ExpertCount {E} · HiddenSize {D}", "Router", isUsed: true);
        _bias = new LayerPart("logit bias", E, "ExpertCount", "Router.HasLogitBias", router.HasLogitBias);
        _scale = new LayerPart("input scale", D, "HiddenSize", "Router.InputNorm with HasScale", router.InputNorm is { HasScale: true });
        Parts = [_weight, _bias, _scale];
    }

    /// <summary>What the gate was made from.</summary>
    public MoeOptions Options { get; }

    /// <summary>The bytes that the packed weight takes, from the constructor to the disposal.</summary>
    public long PackedBytes => _panels.Bytes;

    /// <summary>What has to be loaded.</summary>
    internal ILayerPart[] Parts { get; }

    /// <summary>Packs the weight.</summary>
    /// <param name="weight">The weight [E, D], rows are experts.</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="ObjectDisposedException">The gate was disposed.</exception>
    public void LoadWeight(ReadOnlySpan<float> weight) => Pack(weight);

    /// <summary>Packs the weight from the bits of bfloat16, as files have them.</summary>
    /// <inheritdoc cref="LoadWeight(ReadOnlySpan{float})"/>
    public void LoadWeight(ReadOnlySpan<ushort> weight) => Pack(weight);

    /// <summary>Takes the bias that is added to the logits (<see cref="RouterOptions.HasLogitBias"/>).</summary>
    /// <param name="bias">The bias [E].</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have no such bias.</exception>
    /// <exception cref="ObjectDisposedException">The gate was disposed.</exception>
    public void LoadBias(ReadOnlySpan<float> bias)
    {
        _bias.Check(bias.Length, nameof(bias));
        using var use = _uses.Enter(this);
        lock (_loading) _panels.PackBias(bias);
        _bias.SetLoaded();
    }

    /// <summary>Takes the scale of normalised tokens (<see cref="RouterInputNorm.HasScale"/>).</summary>
    /// <param name="scale">The scale [D].</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have no such scale.</exception>
    /// <exception cref="ObjectDisposedException">The gate was disposed.</exception>
    public void LoadScale(ReadOnlySpan<float> scale)
    {
        _scale.Check(scale.Length, nameof(scale));
        using var use = _uses.Enter(this);
        lock (_loading) _panels.TakeScale(scale);
        _scale.SetLoaded();
    }

    /// <summary>Computes the logits. Nothing is allocated once a call was made.</summary>
    /// <param name="tokens">The tokens [T, D].</param>
    /// <param name="logits">Receives the logits [T, E]. May not overlap the tokens. After an error its content means nothing.</param>
    /// <exception cref="ArgumentException">A span has the wrong length, or the spans overlap.</exception>
    /// <exception cref="InvalidOperationException">Something was not loaded; the message says what.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the threads' rows.</exception>
    /// <exception cref="ObjectDisposedException">The gate was disposed. Calls that run by then end as if it were not.</exception>
    public void Forward(ReadOnlySpan<float> tokens, Span<float> logits)
    {
        using var use = _uses.Enter(this);
        int count = LayerCheck.Rows(tokens.Length, Options.HiddenSize, nameof(tokens));
        LayerCheck.Length(logits.Length, (long)count * Options.Router.ExpertCount, nameof(logits), "tokens · ExpertCount");
        if (logits.Overlaps(tokens)) throw new ArgumentException("The logits overlap the tokens; give memory of their own.", nameof(logits));
        ILayerPart.Require(Parts);

        // after an error neither is used again
        var pass = _passes.TryTake(out var idle) ? idle : new GatePass(_panels, _kernel);
        var memory = PassMemory.Rent();
        fixed (float* x = tokens, z = logits) pass.Run(WorkerPool.Shared, memory, x, count, z);
        memory.Return();
        _passes.Add(pass);
    }

    /// <summary>Frees the weight, once calls that run have ended; it does not wait for them. Later calls throw <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose() => _uses.Close();

    private void Pack<T>(ReadOnlySpan<T> weight)
        where T : unmanaged
    {
        _weight.Check(weight.Length, nameof(weight));
        using var use = _uses.Enter(this);
        lock (_loading)
        {
            fixed (T* values = weight) _panels.Pack(values);
        }

        _weight.SetLoaded();
    }
}
