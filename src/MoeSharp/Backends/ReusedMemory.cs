using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

// data, who takes it back, sizes, their number, their type, that of the tensor, device, its index, whether it requires a gradient
using unsafe TensorOnMemory = delegate* unmanaged[Cdecl]<void*, delegate* unmanaged[Cdecl]<void*, void>, long*, int, sbyte, sbyte, int, int, byte, nint>;

namespace MoeSharp;

/// <summary>
/// Large tensors on memory that outlives them: what one step of training leaves behind serves the next. Memory of libtorch is mapped anew for
/// each, and the system clears every page before its first write: a quarter of the time of a step through many experts.
/// </summary>
/// <remarks>Memory comes back when the last tensor on it is gone, whoever held it. What nobody has asked for in a minute or two is freed.</remarks>
internal static unsafe class ReusedMemory
{
    private const long LeastBytes = 2 << 20;

    private static readonly ConcurrentDictionary<nint, AlignedMemory> InUse = [];
    private static readonly IdleStore<AlignedMemory> Idle = new();
    private static readonly TensorOnMemory New = FindNew();

    /// <summary>The bytes that wait for a tensor.</summary>
    internal static long IdleBytes => Idle.Sum(memory => memory.Length);

    /// <summary>A tensor of float32 or bfloat16, of undefined values; on memory that was used before, where there is some and the tensor is large.</summary>
    public static Tensor Empty(ReadOnlySpan<long> shape, ScalarType type = ScalarType.Float32)
    {
        long bytes = type == ScalarType.BFloat16 ? sizeof(ushort) : sizeof(float);
        foreach (long size in shape) bytes *= size;
        return bytes >= LeastBytes && TryCreate(shape, type, bytes) is { } tensor ? tensor : empty(shape.ToArray(), type);
    }

    /// <summary>Frees what has been idle since before <paramref name="time"/>.</summary>
    internal static void Trim(long time) => Idle.Trim(time);

    private static Tensor? TryCreate(ReadOnlySpan<long> shape, ScalarType type, long bytes)
    {
        if (New is null) return null;

        AlignedMemory memory;
        try
        {
            memory = Idle.TakeSmallest(static memory => memory.Length, bytes, bytes + bytes / 4) ?? new AlignedMemory(bytes, "a tensor");
        }
        catch (InsufficientMemoryException)     // libtorch tells it in its own words
        {
            return null;
        }

        InUse[(nint)memory.Start] = memory;
        nint tensor;
        fixed (long* sizes = shape) tensor = New(memory.Start, &Return, sizes, shape.Length, (sbyte)type, (sbyte)type, (int)TorchSharp.DeviceType.CPU, -1, 0);
        if (tensor != 0) return Tensor.UnsafeCreateTensor(tensor);

        if (InUse.TryRemove((nint)memory.Start, out _)) memory.Dispose();       // else it came back already
        return null;
    }

    // by libtorch, on any thread
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Return(void* start)
    {
        if (InUse.TryRemove((nint)start, out var memory)) Idle.Add(memory);
    }

    // no public function of TorchSharp: of another version it could take other arguments
    private static TensorOnMemory FindNew() =>
        typeof(TorchSharp.torch).Assembly.GetName().Version is { Major: 0, Minor: 107 } ? (TensorOnMemory)NativeTorch.Find("THSTensor_new") : null;
}
