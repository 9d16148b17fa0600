using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>One parameter with its moments (float32, of its shape), its own count of steps, and the steps that its experts have yet to take.</summary>
internal sealed unsafe class AdamWSlot(Parameter parameter) : IDisposable
{
    private DeferredSteps? _deferred;

    public Parameter Parameter { get; } = parameter;

    public Tensor First { get; } = Zeros(parameter.shape);

    public Tensor Second { get; } = Zeros(parameter.shape);

    public Tensor Steps { get; } = Zeros([]);

    /// <summary>Whether <see cref="AdamWKernel"/> can reach the memory: float32, dense, on the CPU.</summary>
    public bool FitsKernel => Parameter.dtype == ScalarType.Float32 && Parameter.device_type == TorchSharp.DeviceType.CPU && Parameter.is_contiguous();

    /// <summary>From now on, slices along the first dimension whose gradient is zero wait until <see cref="CatchUp"/>.</summary>
    public void Defer()
    {
        if (FitsKernel) _deferred ??= new DeferredSteps(checked((int)Parameter.size(0)));
    }

    /// <summary>Counts a step and adds what it is to do.</summary>
    /// <param name="works">What the kernel will do.</param>
    /// <param name="gradient">The gradient, float32 and dense; alive until the kernel has run.</param>
    /// <param name="rates">The rates of this parameter.</param>
    public void TakeStep(List<AdamWWork> works, Tensor gradient, AdamWRates rates)
    {
        var step = rates.At((long)++*(float*)TensorMemory.Address(Steps));
        var arrays = Arrays(gradient);
        if (_deferred is not { } deferred)
        {
            works.Add(new AdamWWork(arrays, new[] { step }));
            return;
        }

        deferred.Add(step);
        bool[] isIdle = new bool[deferred.Count];
        Parallel.For(0, isIdle.Length, Limited(), slice =>
        {
            var own = SliceOf(arrays, slice);
            isIdle[slice] = AdamWKernel.IsZero((float*)own.Gradient, own.Length);
        });
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

    /// <summary>The threads of libtorch, which are ours too.</summary>
    public static ParallelOptions Limited() => new() { MaxDegreeOfParallelism = get_num_threads() };

    public void Dispose()
    {
        First.Dispose();
        Second.Dispose();
        Steps.Dispose();
    }

    private AdamWArrays Arrays(Tensor? gradient) => new()
    {
        Length = Parameter.numel(),
        Weights = (float*)TensorMemory.Address(Parameter),
        First = TensorMemory.Address(First),
        Second = TensorMemory.Address(Second),
        Gradient = gradient is null ? null : TensorMemory.Address(gradient),
    };

    private AdamWArrays SliceOf(AdamWArrays arrays, int slice)
    {
        long length = arrays.Length / _deferred!.Count;      // called for deferred slots only
        return arrays.Slice(slice * length, length);
    }

    private static Tensor Zeros(long[] shape) => zeros(shape, ScalarType.Float32).DetachFromDisposeScope();
}
