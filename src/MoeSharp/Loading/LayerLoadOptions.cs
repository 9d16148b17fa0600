using Microsoft.Extensions.Logging;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Where a loaded layer lies, and in which type.</summary>
public sealed record LayerLoadOptions
{
    /// <summary>The type of the matrices of experts and the shared expert: float32 (the default), bfloat16 or float16. The router is float32 always.</summary>
    public ScalarType Type { get; init; } = ScalarType.Float32;

    /// <summary>Where the parameters lie; null for the CPU.</summary>
    public Device? Device { get; init; }

    /// <summary>Which implementation computes the experts; the default takes the fastest that fits.</summary>
    public ExpertBackend Backend { get; init; }

    /// <summary>Hears which backend was chosen; null for none.</summary>
    public ILogger? Logger { get; init; }
}
