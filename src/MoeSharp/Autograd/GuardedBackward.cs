using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Runs a backward pass so that an error inside a <see cref="GuardedFunction{T}"/> surfaces as it was thrown.</summary>
public static class GuardedBackward
{
    // the CPU part of a backward pass runs on the thread that asked for it
    [ThreadStatic]
    private static Exception? _error;

    /// <summary>Computes the gradients of <paramref name="loss"/>, as <c>loss.backward()</c> does.</summary>
    /// <param name="loss">A tensor with one element that requires a gradient.</param>
    /// <exception cref="Exception">What the backward of a <see cref="GuardedFunction{T}"/> threw, with its own stack trace; else libtorch's error.</exception>
    public static void Run(Tensor loss)
    {
        ArgumentNullException.ThrowIfNull(loss);
        _error = null;
        try
        {
            loss.backward();
        }
        catch (Exception) when (_error is not null)
        {
            var error = _error;
            _error = null;
            ExceptionDispatchInfo.Throw(error);
        }
    }

    /// <summary>Keeps the first error of the running pass; later ones only follow from it.</summary>
    internal static void Remember(Exception error) => _error ??= error;
}
