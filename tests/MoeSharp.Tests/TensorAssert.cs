using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>Comparisons whose failure tells where two tensors differ most, and by how much.</summary>
internal static class TensorAssert
{
    /// <summary>
    /// max|actual - expected| / max|expected|, the absolute difference where all expected values are zero; NaN equals NaN. A
    /// <paramref name="scale"/> is the size of the terms whose sum may cancel to nearly nothing: errors are measured by it at least.
    /// </summary>
    public static void Close(Tensor expected, Tensor actual, double tolerance, string what = "tensor", double scale = 0)
    {
        Assert.True(
            expected.shape.AsSpan().SequenceEqual(actual.shape),
            $"{what}: shape [{string.Join(", ", actual.shape)}], expected [{string.Join(", ", expected.shape)}]");

        Close(Values(expected), Values(actual), tolerance, what, scale);
    }

    /// <summary>The same for plain values.</summary>
    public static void Close(double[] expected, double[] actual, double tolerance, string what, double scale = 0)
    {
        Assert.True(expected.Length == actual.Length, $"{what}: {actual.Length} values, expected {expected.Length}");

        var (worst, at) = (0.0, -1);
        for (int i = 0; i < expected.Length; i++)
        {
            double difference = double.IsNaN(expected[i]) && double.IsNaN(actual[i]) ? 0 : Math.Abs(expected[i] - actual[i]);
            if (difference <= worst) continue;
            (worst, at) = (difference, i);
        }

        double largest = expected.Select(Math.Abs).Where(double.IsFinite).Append(scale).Max();
        double error = largest > 0 ? worst / largest : worst;
        Assert.True(
            error <= tolerance && actual.All(value => !double.IsNaN(value) || expected.Any(double.IsNaN)),
            $"{what}: relative error {error:g3} > {tolerance:g3}; at {at} got {(at < 0 ? 0 : actual[at]):g9}, expected {(at < 0 ? 0 : expected[at]):g9}");
    }

    /// <summary>The same bits, apart from the sign of zero.</summary>
    public static void Same(Tensor expected, Tensor actual, string what = "tensor") => Close(expected, actual, 0, what);

    /// <summary>The elements in row-major order.</summary>
    public static double[] Values(Tensor tensor)
    {
        if (tensor.numel() == 0) return []; // TorchSharp's accessor refuses empty tensors

        using var scope = NewDisposeScope();
        return tensor.detach().to(float64).cpu().contiguous().data<double>().ToArray();
    }
}
