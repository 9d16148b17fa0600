using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>Functions of the libraries behind TorchSharp that it has no public members for.</summary>
internal static class NativeTorch
{
    /// <summary>The address of a function of TorchSharp's own library, or, where the system looks further, of libtorch's that it is linked to; 0 where there is none of that name.</summary>
    public static nint Find(string symbol) =>
        NativeLibrary.TryLoad("LibTorchSharp", typeof(TorchSharp.torch).Assembly, null, out nint library) && NativeLibrary.TryGetExport(library, symbol, out nint address) ? address : 0;
}
