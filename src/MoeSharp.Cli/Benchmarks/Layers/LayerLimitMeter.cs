namespace MoeSharp.Cli;

/// <summary>Measures the limits of the machine, and remembers what it measured.</summary>
internal sealed class LayerLimitMeter : IDisposable
{
    private readonly ReadLoop _read = new();
    private readonly Dictionary<ProductType, PeakLoop> _peaks = Enum.GetValues<ProductType>().Where(PeakLoop.IsSupported).ToDictionary(type => type, type => new PeakLoop(type));
    private readonly Dictionary<ProductType, List<double>> _flops = Enum.GetValues<ProductType>().ToDictionary(type => type, _ => new List<double>());
    private readonly List<double> _bytes = [];

    /// <summary>Bytes per second of a plain read.</summary>
    public double Read() => Remembered(_bytes, _read.Measure(WorkerPool.Shared));

    /// <summary>Flops per second; null where the processor does not multiply the type.</summary>
    public double? Peak(ProductType type) => _peaks.TryGetValue(type, out var loop) ? Remembered(_flops[type], loop.Measure(WorkerPool.Shared)) : null;

    /// <summary>Over all that was measured.</summary>
    public LayerLimits Limits() => new(Limit.Of(_flops[ProductType.Fp32], 1e9), Limit.Of(_flops[ProductType.Bf16], 1e9), Limit.Of(_bytes, 1e9) ?? new(0, 0));

    public void Dispose() => _read.Dispose();

    private static double Remembered(List<double> rates, double rate)
    {
        rates.Add(rate);
        return rate;
    }
}
