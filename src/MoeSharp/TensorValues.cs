using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The memory of tensors, for kernels that know no libtorch. Whoever reads it keeps the tensor alive meanwhile.</summary>
internal static unsafe class TensorValues
{
    /// <summary>Values as the routing kernel reads them: float32, dense, on the host, without gradient.</summary>
    [return: NotNullIfNotNull(nameof(values))]
    public static Tensor? OnHost(Tensor? values)
    {
        if (values is null) return null;

        var own = values.detach();      // may be kept, which a parameter may not
        bool isReadable = own.dtype == ScalarType.Float32 && own.device_type == TorchSharp.DeviceType.CPU && own.is_contiguous();
        return isReadable ? own : own.to(float32).cpu().contiguous();
    }

    /// <summary>Ids as libtorch indexes with them: int64, on the host.</summary>
    /// <param name="ids">The ids, row by row.</param>
    /// <param name="shape">The shape of the tensor.</param>
    public static Tensor Indices(ReadOnlySpan<int> ids, ReadOnlySpan<long> shape)
    {
        var indices = empty(shape, int64);
        var values = Of<long>(indices);
        for (int i = 0; i < ids.Length; i++) values[i] = ids[i];
        return indices;
    }

    /// <summary>The values of a dense tensor on the host, which are of type <typeparamref name="T"/>; none for null.</summary>
    public static Span<T> Of<T>(Tensor? values)
        where T : unmanaged => values is null ? [] : new(Start(values), checked((int)values.numel()));

    /// <summary>Where the values of a dense tensor on the host begin; null where there are none.</summary>
    public static void* Start(Tensor? values)
    {
        if (values is null || values.numel() == 0) return null;
        if (values.numel() <= int.MaxValue / values.ElementSize) return First(values.bytes);

        using var own = values.detach();
        using var flat = own.view(-1);
        using var first = flat.narrow(0, 0, 1);      // a span of bytes ends at 2 GB
        return First(first.bytes);

        static void* First(Span<byte> bytes) => Unsafe.AsPointer(ref MemoryMarshal.GetReference(bytes));
    }
}
