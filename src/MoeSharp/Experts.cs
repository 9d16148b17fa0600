using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>
/// The parameters of E gated MLPs, stacked over the experts; rows are outputs as in <c>nn.Linear</c>. What is computed with them is
/// the backend's choice (<see cref="ExpertBackend"/>).
/// </summary>
public sealed class Experts : Module
{
    /// <summary>Experts whose weights are what a function gives for gate, up and down, in this order.</summary>
    internal Experts(ExpertOptions options, int expertCount, int hiddenSize, Device? device, Func<long[], Parameter> weights)
        : base(nameof(Experts))
    {
        var (E, D, H) = (expertCount, hiddenSize, options.IntermediateSize);
        Gate = weights([E, H, D]);
        Up = weights([E, H, D]);
        Down = weights([E, D, H]);
        GateBias = options.HasBias ? Initial.Zeros([E, H], device) : null;
        UpBias = options.HasBias ? Initial.Zeros([E, H], device) : null;
        DownBias = options.HasBias ? Initial.Zeros([E, D], device) : null;
        RegisterComponents();
    }

    /// <summary>The gate projections [E, H, D].</summary>
    [field: ComponentName(Name = "gate")]
    public Parameter Gate { get; }

    /// <summary>The up projections [E, H, D].</summary>
    [field: ComponentName(Name = "up")]
    public Parameter Up { get; }

    /// <summary>The down projections [E, D, H].</summary>
    [field: ComponentName(Name = "down")]
    public Parameter Down { get; }

    /// <summary>The biases of the gate projections [E, H], or null.</summary>
    [field: ComponentName(Name = "gate_bias")]
    public Parameter? GateBias { get; }

    /// <summary>The biases of the up projections [E, H], or null.</summary>
    [field: ComponentName(Name = "up_bias")]
    public Parameter? UpBias { get; }

    /// <summary>The biases of the down projections [E, D], or null.</summary>
    [field: ComponentName(Name = "down_bias")]
    public Parameter? DownBias { get; }
}
