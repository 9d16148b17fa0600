using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>The gated MLP that every token passes through, behind a sigmoid gate or not: [.., D] to [.., D] in the type of its input.</summary>
/// <remarks>Parameters: <c>gate</c>, <c>up</c> [W, D], <c>down</c> [D, W] and, when gated, <c>router</c> [1, D].</remarks>
public sealed class SharedExpert : Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor, Tensor> _activation;
    private readonly Func<Tensor, Tensor, Tensor> _applyRouter;

    /// <summary>Creates the expert with matrices from a normal distribution (standard deviation 0.02).</summary>
    /// <param name="options">The layer that the expert belongs to; its <see cref="MoeOptions.Shared"/> is not null.</param>
    /// <param name="device">Where the parameters lie; null for the CPU.</param>
    /// <param name="generator">The source of the initial weights; null for libtorch's global generator.</param>
    /// <exception cref="ArgumentException">The options have faults, or no shared expert.</exception>
    public SharedExpert(MoeOptions options, Device? device = null, Generator? generator = null)
        : this(options, device, shape => Initial.Normal(shape, device, generator))
    {
    }

    /// <summary>An expert whose matrices are what a function gives.</summary>
    internal SharedExpert(MoeOptions options, Device? device, Func<long[], Parameter> matrices)
        : base(nameof(SharedExpert))
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var shared = options.Shared ?? throw new ArgumentException("The options have no shared expert; set Shared, or create a RoutedMoE.", nameof(options));

        var (D, W) = (options.HiddenSize, shared.IntermediateSize);
        Epilogue = GatedEpilogue.Create(options.Experts.Activation, shared.Limit);
        Gate = matrices([W, D]);
        Up = matrices([W, D]);
        Down = matrices([D, W]);
        Router = shared.IsGated ? matrices([1, D]) : null;
        _activation = GatedActivation.Function(options.Experts.Activation, shared.Limit);
        _applyRouter = shared.IsGated
            ? (output, hidden) => output * functional.linear(hidden, Router!.to(hidden.dtype)).sigmoid()
            : (output, _) => output;
        RegisterComponents();
    }

    /// <summary>The gate projection [W, D].</summary>
    [field: ComponentName(Name = "gate")]
    public Parameter Gate { get; }

    /// <summary>The up projection [W, D].</summary>
    [field: ComponentName(Name = "up")]
    public Parameter Up { get; }

    /// <summary>The down projection [D, W].</summary>
    [field: ComponentName(Name = "down")]
    public Parameter Down { get; }

    /// <summary>The row [1, D] whose sigmoid multiplies the output, or null.</summary>
    [field: ComponentName(Name = "router")]
    public Parameter? Router { get; }

    /// <summary>Its activation, for the kernels.</summary>
    internal GatedEpilogue Epilogue { get; }

    /// <summary>The expert's output for hidden states [.., D].</summary>
    public override Tensor forward(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        var type = hidden.dtype;

        var inner = _activation(functional.linear(hidden, Gate.to(type)), functional.linear(hidden, Up.to(type)));  // [.., W]
        var output = functional.linear(inner, Down.to(type));                                                       // [.., D]

        return _applyRouter(output, hidden).MoveToOuterDisposeScope();
    }
}
