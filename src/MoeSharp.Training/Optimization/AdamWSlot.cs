using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>One parameter with its moments (of its shape), its own count of steps, and the steps that its experts have yet to take.</summary>
internal sealed unsafe class AdamWSlot(Parameter parameter, MomentPrecision moments = MomentPrecision.Float32) : IDisposable
{
    private DeferredSteps? _deferred;

    public Parameter Parameter { get; } = parameter;

    /// <summary>The float32 weights that a bfloat16 parameter is rounded from, as it was when the slot was made; null for float32 ones.</summary>
    public Tensor? Master { get; } = parameter.dtype == ScalarType.BFloat16 ? parameter.detach().to(ScalarType.Float32).DetachFromDisposeScope() : null;

    public Tensor First { get; } = Zeros(parameter.shape, moments);

    public Tensor Second { get; } = Zeros(parameter.shape, moments);

    public Tensor Steps { get; } = Zeros([]);

    /// <summary>Whether <see cref="AdamWKernel"/> can reach the memory: float32 or bfloat16, dense, on the CPU.</summary>
    public bool FitsKernel => Parameter.dtype is ScalarType.Float32 or ScalarType.BFloat16 && Parameter.device_type == TorchSharp.DeviceType.CPU && Parameter.is_contiguous();

    /// <summary>From now on, slices along the first dimension whose gradient is zero wait until <see cref="CatchUp"/>.</summary>
    public void Defer()
    {
        if (FitsKernel) _deferred ??= new DeferredSteps(checked((int)Parameter.size(0)));
    }

    /// <summary>Counts a step and adds what it is to do.</summary>
    /// <param name="works">What the kernel will do.</param>
    /// <param name="gradient">The gradient, in the parameter's type and dense; alive until the kernel has run.</param>
    /// <param name="rates">The rates of this parameter.</param>
    public void TakeStep(List<AdamWWork> works, Tensor gradient, AdamWRates rates)
    {
        var step = rates.At((long)++*(float*)TensorValues.Start(Steps));
        var arrays = Arrays(gradient);
        if (_deferred is not { } deferred)
        {
            works.Add(new AdamWWork(arrays, new[] { step }));
            return;
        }

        deferred.Add(step);
        bool[] isIdle = new bool[deferred.Count];
        WorkerPool.Shared.ForEach(isIdle.Length, slice => isIdle[slice] = SliceOf(arrays, slice).HasZeroGradient);
        for (int slice = 0; slice < isIdle.Length; slice++)
        {
            if (!isIdle[slice]) works.Add(new AdamWWork(SliceOf(arrays, slice), deferred.Take(slice)));
        }
    }

    /// <summary>Adds the steps that slices have yet to take: of those that <paramref name="rows"/> gives any to, or of all.</summary>
    public void CatchUp(List<AdamWWork> works, IReadOnlyList<long>? rows)
    {
        if (_deferred is not { Any: true } deferred) return;

        var arrays = Arrays(gradient: null);
        for (int slice = 0; slice < deferred.Count; slice++)
        {
            if ((rows is null || rows[slice] > 0) && deferred.Take(slice) is { IsEmpty: false } steps) works.Add(new AdamWWork(SliceOf(arrays, slice), steps));
        }
    }

    public void Dispose()
    {
        Master?.Dispose();
        First.Dispose();
        Second.Dispose();
        Steps.Dispose();
    }

    private AdamWArrays Arrays(Tensor? gradient) => new()
    {
        Length = Parameter.numel(),
        Weights = (float*)TensorValues.Start(Master ?? Parameter),
        First = TensorValues.Start(First),
        Second = TensorValues.Start(Second),
        Gradient = TensorValues.Start(gradient),
        Rounded = Master is null ? null : (ushort*)TensorValues.Start(Parameter),
        HasBFloat16Moments = First.dtype == ScalarType.BFloat16,
        HasBFloat16Gradient = Master is not null,
    };

    private AdamWArrays SliceOf(AdamWArrays arrays, int slice)
    {
        long length = arrays.Length / _deferred!.Count;      // called for deferred slots only
        return arrays.Slice(slice * length, length);
    }

    private static Tensor Zeros(long[] shape, MomentPrecision precision = MomentPrecision.Float32) =>
        zeros(shape, precision == MomentPrecision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32).DetachFromDisposeScope();
}
