using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace MoeSharp;

/// <summary>
/// The base of every autograd function with a backward of its own. libtorch calls a managed backward through native frames, and an
/// exception that reaches those ends the process; here it becomes an error of <c>loss.backward()</c> instead.
/// <see cref="GuardedBackward.Run"/> then raises the original one.
/// </summary>
/// <typeparam name="T">The function itself: one stateless instance serves all calls, so what a call must remember goes into its context.</typeparam>
/// <remarks>
/// Outputs that the loss does not use arrive in <see cref="Differentiate"/> as null or invalid gradients. Tensors that <see cref="Compute"/>
/// saves must outlive its dispose scope: move them out, or they come back as null.
/// </remarks>
public abstract class GuardedFunction<T> : MultiTensorFunction<T>
    where T : GuardedFunction<T>, new()
{
    private const string ShapesKey = "argument shapes";

    /// <summary>The name of the function's node in the autograd graph: the name of its type.</summary>
    public sealed override string Name => typeof(T).Name;

    /// <summary>Computes the outputs, with gradient mode off; exceptions leave it as they are.</summary>
    /// <param name="ctx">Remembers what <see cref="Differentiate"/> needs.</param>
    /// <param name="arguments">What was given to <c>apply</c>: tensors, null, and plain values.</param>
    protected abstract List<Tensor> Compute(AutogradContext ctx, object?[] arguments);

    /// <summary>Computes one gradient per argument; null for plain values and where none is needed.</summary>
    /// <param name="ctx">What <see cref="Compute"/> remembered.</param>
    /// <param name="gradients">The gradient of each output; null or invalid where the loss does not use it.</param>
    protected abstract List<Tensor?> Differentiate(AutogradContext ctx, List<Tensor?> gradients);

    /// <summary>Called by TorchSharp; remembers the shapes of the arguments and runs <see cref="Compute"/>.</summary>
    public sealed override List<Tensor> forward(AutogradContext ctx, params object[] vars)
    {
        ctx.set_materialize_grads(false); // materialised zeros of an unused output end the process when it was made in an inner scope
        ctx.save_data(ShapesKey, Array.ConvertAll(vars, argument => (argument as Tensor)?.shape));
        return Compute(ctx, vars);
    }

    /// <summary>Called by TorchSharp; runs <see cref="Differentiate"/> and lets no exception out of it.</summary>
    public sealed override List<Tensor> backward(AutogradContext ctx, List<Tensor> grad_outputs)
    {
        var shapes = (long[]?[])ctx.get_data(ShapesKey);
        try
        {
            var gradients = Differentiate(ctx, grad_outputs!);
            CheckGradients(gradients, shapes);
            return gradients!;
        }
#pragma warning disable CA1031 // whatever it is, it must not reach the native frames
        catch (Exception error)
#pragma warning restore CA1031
        {
            GuardedBackward.Remember(error);
            return Poisoned(shapes)!;
        }
    }

    private void CheckGradients(List<Tensor?> gradients, long[]?[] shapes)
    {
        if (gradients.Count != shapes.Length)
        {
            throw new InvalidOperationException($"{Name}.Differentiate returned {gradients.Count} gradients for {shapes.Length} arguments; return one each, null where there is none.");
        }

        for (int i = 0; i < shapes.Length; i++)
        {
            if (gradients[i] is not { } gradient) continue;
            if (shapes[i] is null) throw new InvalidOperationException($"{Name}.Differentiate returned a gradient for argument {i}, which is no tensor; return null there.");
            if (gradient.IsInvalid) throw new InvalidOperationException($"{Name}.Differentiate returned a disposed gradient for argument {i}; move it to the outer dispose scope.");
        }
    }

    // libtorch refuses a gradient that lies on the meta device, and TorchSharp reports that refusal as an ordinary exception
    private static List<Tensor?> Poisoned(long[]?[] shapes) => shapes
        .Select(shape => shape is null ? null : empty(shape, device: new Device(TorchSharp.DeviceType.META)))
        .ToList();
}
