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
        def changes(tensor):
            if tensor.is_inference():
                return -1
            return tensor._version()

        """));

    /// <summary>The changes of a tensor and all that share its memory; null of one made in inference mode, where nobody counts.</summary>
    public static long? Of(Tensor tensor) => Version is null || IsInference is null ? ByScript(tensor) : Directly(tensor);

    /// <summary>The same where libtorch's functions have other names: by its interpreter, which takes microseconds and leaves work to the finalizer.</summary>
    internal static long? ByScript(Tensor tensor)
    {
        using var changes = (Scalar)Script.Value.invoke("changes", tensor);
        return changes.ToInt64() is >= 0 and var count ? count : null;
    }

    private static long? Directly(Tensor tensor)
    {
        long? count = IsInference(tensor.Handle) == 0 ? Version(tensor.Handle) : null;      // of the others it would throw, through us
        GC.KeepAlive(tensor);
        return count;
    }
}
