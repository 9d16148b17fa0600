using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The first values of parameters, detached from any dispose scope so that a module made inside one keeps them.</summary>
internal static class Initial
{
    // the standard deviation that GPT-2 and most decoder models since start from
    private const double StandardDeviation = 0.02;

    public static Parameter Normal(long[] shape, Device? device, Generator? generator)
    {
        using var _ = no_grad();
        return Own(empty(shape, float32, device).normal_(0, StandardDeviation, generator));
    }

    public static Parameter Empty(long[] shape, ScalarType type, Device? device) => Own(empty(shape, type, device));

    public static Parameter Zeros(long[] shape, Device? device) => Own(zeros(shape, float32, device));

    public static Parameter Ones(long[] shape, Device? device) => Own(ones(shape, float32, device));

    private static Parameter Own(Tensor values)
    {
        var parameter = new Parameter(values);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
