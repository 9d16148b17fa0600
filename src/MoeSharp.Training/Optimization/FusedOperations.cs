using TorchSharp;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// libtorch's fused list operations, which TorchSharp does not bind: one call for all parameters. The script is a constant, because an
/// unknown name in a script aborts the process.
/// </summary>
internal static class FusedOperations
{
    private static readonly jit.CompilationUnit Script = jit.compile("""
        def clip(gradients: List[Tensor], limit: float):
            norm = torch.linalg_vector_norm(torch.stack(torch._foreach_norm(gradients, 2.0)), 2.0)
            if limit > 0.0:
                torch._foreach_mul_(gradients, torch.clamp(limit / (norm + 1e-6), max=1.0))
            return norm

        def adamw(parameters: List[Tensor], gradients: List[Tensor], first: List[Tensor], second: List[Tensor], steps: List[Tensor],
                  rate: float, beta1: float, beta2: float, decay: float, epsilon: float):
            unused: List[Tensor] = []
            torch._fused_adamw_(parameters, gradients, first, second, unused, steps,
                                lr=rate, beta1=beta1, beta2=beta2, weight_decay=decay, eps=epsilon, amsgrad=False, maximize=False)
            return steps[0]


        """);

    /// <summary>Scales all gradients together so that their 2-norm is at most <paramref name="limit"/> (0: leaves them), and returns the norm before.</summary>
    public static double ClipNorm(Tensor[] gradients, double limit)
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        Scalar limitScalar = limit;

        var norm = (Tensor)Script.invoke("clip", gradients, limitScalar);

        GC.KeepAlive(limitScalar);
        return norm.item<float>();
    }

    /// <summary>One AdamW update of all <paramref name="parameters"/> in place; every step tensor already counts this step.</summary>
    public static void AdamW(Tensor[] parameters, Tensor[] gradients, Tensor[] first, Tensor[] second, Tensor[] steps, AdamWOptions options, double rate, double decay)
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        Scalar[] numbers = [rate, options.Beta1, options.Beta2, decay, options.Epsilon];

        Script.invoke("adamw", parameters, gradients, first, second, steps, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]);

        GC.KeepAlive(numbers);
    }
}
