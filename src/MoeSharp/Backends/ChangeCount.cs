using TorchSharp;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>How often tensors were changed in place, as libtorch counts it for autograd. TorchSharp has no binding for it.</summary>
internal static unsafe class ChangeCount
{
    // C++'s at::_ops::X::call(const at::Tensor&), which every library built for libtorch links to; a tensor's handle points to its at::Tensor
    private static readonly delegate* unmanaged<nint, long> Version = (delegate* unmanaged<nint, long>)NativeTorch.Find("_ZN2at4_ops8_version4callERKNS_6TensorE");
    private static readonly delegate* unmanaged<nint, byte> IsInference = (delegate* unmanaged<nint, byte>)NativeTorch.Find("_ZN2at4_ops12is_inference4callERKNS_6TensorE");

    // never freed, so compiled once; calls may run in parallel
    private static readonly Lazy<jit.CompilationUnit> Script = new(() => jit.compile("""
        def changes(a, b, c):
            if a.is_inference() or b.is_inference() or c.is_inference():
                return -1
            return a._version() + b._version() + c._version()

        """));

    /// <summary>The changes of three tensors and all that share their memory; null where one was made in inference mode, in which nobody counts.</summary>
    public static long? Of(Tensor a, Tensor b, Tensor c) => Version is null || IsInference is null ? ByScript(a, b, c) : Of(a) + Of(b) + Of(c);

    /// <summary>The same where libtorch's functions have other names: by its interpreter, which takes microseconds and leaves work to the finalizer.</summary>
    internal static long? ByScript(Tensor a, Tensor b, Tensor c)
    {
        using var changes = (Scalar)Script.Value.invoke("changes", a, b, c);
        return changes.ToInt64() is >= 0 and var count ? count : null;
    }

    private static long? Of(Tensor tensor)
    {
        long? count = IsInference(tensor.Handle) == 0 ? Version(tensor.Handle) : null;      // of the others it would throw, through us
        GC.KeepAlive(tensor);
        return count;
    }
}
