using Microsoft.Extensions.Logging;
using MoeSharp.Checkpoints;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>A Mixture-of-Experts layer with a shared expert: the routed experts' sum plus what every token computes.</summary>
/// <remarks>Components: <c>routed</c> and <c>shared</c>. Types, ownership and errors are those of <see cref="RoutedMoE"/>.</remarks>
public sealed class RoutedAndSharedMoE : Module<Tensor, MoeOutput>
{
    private readonly UseCount _uses;

    /// <summary>Creates the layer with matrices from a normal distribution (standard deviation 0.02), biases of zero, scales of one.</summary>
    /// <param name="options">The layer; <see cref="MoeOptions.Shared"/> must be set (see <see cref="RoutedMoE"/> for one without).</param>
    /// <param name="device">Where the parameters lie; null for the CPU.</param>
    /// <param name="generator">The source of the initial weights; null for libtorch's global generator.</param>
    /// <param name="logger">Hears which backend was chosen; null for none.</param>
    /// <exception cref="ArgumentException">The options have faults (the message lists all of them), or no shared expert.</exception>
    public RoutedAndSharedMoE(MoeOptions options, Device? device = null, Generator? generator = null, ILogger? logger = null)
        : base(nameof(RoutedAndSharedMoE))
    {
        Shared = new SharedExpert(options, device, generator);
        Routed = new RoutedMoE(options with { Shared = null }, device, generator, logger);
        Options = options;
        _uses = new UseCount(Free);
        RegisterComponents();
    }

    internal RoutedAndSharedMoE(RoutedMoE routed, SharedExpert shared, MoeOptions options)
        : base(nameof(RoutedAndSharedMoE))
    {
        (Routed, Shared, Options) = (routed, shared, options);
        _uses = new UseCount(Free);
        RegisterComponents();
    }

    /// <summary>Loads one MoE layer with a shared expert of a model in a folder; else as <see cref="RoutedMoE.FromCheckpoint(string, int, LayerLoadOptions?, IProgress{LoadProgress}?, CancellationToken)"/>.</summary>
    /// <inheritdoc cref="RoutedMoE.FromCheckpoint(string, int, LayerLoadOptions?, IProgress{LoadProgress}?, CancellationToken)"/>
    /// <exception cref="ArgumentException">The layer is dense or there is none; or it has no shared expert: <see cref="RoutedMoE"/> loads it.</exception>
    public static RoutedAndSharedMoE FromCheckpoint(string folder, int layer, LayerLoadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        using var checkpoint = MoeCheckpoint.Open(folder);
        return FromCheckpoint(checkpoint, layer, options, progress, cancellationToken);
    }

    /// <summary>Loads one MoE layer with a shared expert of an open checkpoint; it keeps nothing of it.</summary>
    /// <inheritdoc cref="FromCheckpoint(string, int, LayerLoadOptions?, IProgress{LoadProgress}?, CancellationToken)"/>
    public static RoutedAndSharedMoE FromCheckpoint(MoeCheckpoint checkpoint, int layer, LayerLoadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return new LayerLoader(checkpoint.Layer(layer), options ?? new(), progress, cancellationToken).RoutedAndShared();
    }

    /// <summary>What the layer was made from.</summary>
    public MoeOptions Options { get; }

    /// <summary>The router and its experts.</summary>
    [field: ComponentName(Name = "routed")]
    public RoutedMoE Routed { get; }

    /// <summary>The expert that every token passes through.</summary>
    [field: ComponentName(Name = "shared")]
    public SharedExpert Shared { get; }

    /// <summary>Runs the layer on hidden states [.., D], all of whose tokens count.</summary>
    public override MoeOutput forward(Tensor hidden) => forward(hidden, RoutingCall.Plain);

    /// <summary>Runs the layer on hidden states; the arguments and errors are those of <see cref="RoutedMoE.forward(Tensor, RoutingCall)"/>.</summary>
    public MoeOutput forward(Tensor hidden, RoutingCall call)
    {
        using var use = _uses.Enter(this);
        if (call is { TokenMask: null }) return Routed.Run(hidden, call, Shared);

        using var scope = NewDisposeScope();      // what a mask hides from the routed experts the shared one sees
        var routed = Routed.forward(hidden, call);
        var output = routed.Hidden + Shared.call(hidden);

        return new MoeOutput(output.MoveToOuterDisposeScope(), routed.Statistics.MoveToOuterDisposeScope());
    }

    /// <inheritdoc cref="RoutedMoE.Dispose(bool)"/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _uses.Close();
        else base.Dispose(disposing);
    }

    private void Free() => base.Dispose(true);
}
