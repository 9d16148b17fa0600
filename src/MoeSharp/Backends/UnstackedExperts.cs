using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// The parameters of each expert in the type to compute in. All are taken apart at once: the backward of indexing a single expert
/// would fill a gradient of the whole stack for each of them.
/// </summary>
internal sealed class UnstackedExperts(Experts experts, ScalarType type)
{
    public Tensor[] Gate { get; } = experts.Gate.to(type).unbind(0);

    public Tensor[] Up { get; } = experts.Up.to(type).unbind(0);

    public Tensor[] Down { get; } = experts.Down.to(type).unbind(0);

    public Tensor[]? GateBias { get; } = experts.GateBias?.to(type).unbind(0);

    public Tensor[]? UpBias { get; } = experts.UpBias?.to(type).unbind(0);

    public Tensor[]? DownBias { get; } = experts.DownBias?.to(type).unbind(0);
}
