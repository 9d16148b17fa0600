using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>
/// Random weights that repeat after a prime number of values, so that no two rows, experts or matrices are alike: gigabytes of them are there
/// in a second instead of many.
/// </summary>
internal sealed class RepeatedWeights : IDisposable
{
    private const int Period = 1_000_003;
    private const double StandardDeviation = 0.02;      // as MoeSharp's own layers start

    private readonly Tensor _values;
    private long _used;

    public RepeatedWeights(int seed)
    {
        using var generator = new Generator((ulong)seed);
        _values = empty(Period).normal_(0, StandardDeviation, generator);
    }

    /// <summary>Weights of a shape.</summary>
    public Parameter Next(long[] shape)
    {
        using var _ = no_grad();
        var weights = empty(shape);
        using var flat = weights.view(-1);
        for (long start = 0, count; start < flat.numel(); start += count, _used += count)
        {
            long from = _used % Period;
            count = Math.Min(Period - from, flat.numel() - start);
            using Tensor part = flat.narrow(0, start, count), source = _values.narrow(0, from, count);
            part.copy_(source);
        }

        return new Parameter(weights);
    }

    public void Dispose() => _values.Dispose();
}
