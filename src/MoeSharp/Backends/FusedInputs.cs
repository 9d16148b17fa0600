using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>What the fused kernels read: dense tensors on the host, float32; the matrices of the experts are all float32 or all bfloat16. The order is that of <see cref="FusedFunction"/>'s arguments.</summary>
internal readonly struct FusedInputs(IReadOnlyList<Tensor?> tensors)
{
    /// <summary>How many there are.</summary>
    public const int Count = 8;

    /// <summary>Where those of the experts begin.</summary>
    public const int FirstParameter = 2;

    /// <summary>Whether the tensor at a place is one of the experts' matrices.</summary>
    public static bool IsMatrix(int at) => at is 2 or 3 or 4;

    /// <summary>[T, D].</summary>
    public Tensor Tokens => tensors[0]!;

    /// <summary>The routing weights [T, K], which the plan holds too.</summary>
    public Tensor Weights => tensors[1]!;

    /// <summary>[E, H, D].</summary>
    public Tensor Gate => tensors[2]!;

    /// <summary>[E, H, D].</summary>
    public Tensor Up => tensors[3]!;

    /// <summary>[E, D, H].</summary>
    public Tensor Down => tensors[4]!;

    /// <summary>[E, H], or null.</summary>
    public Tensor? GateBias => tensors[5];

    /// <summary>[E, H], or null.</summary>
    public Tensor? UpBias => tensors[6];

    /// <summary>[E, D], or null.</summary>
    public Tensor? DownBias => tensors[7];
}
