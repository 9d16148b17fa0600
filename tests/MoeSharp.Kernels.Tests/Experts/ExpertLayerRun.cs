namespace MoeSharp.Kernels.Tests;

/// <summary>Calls of an <see cref="ExpertLayer"/>, good and bad.</summary>
internal static class ExpertLayerRun
{
    /// <summary>The sums of a problem's tokens.</summary>
    public static float[] Forward(ExpertLayer layer, ExpertProblem problem)
    {
        float[] sums = new float[problem.X.Length];
        Array.Fill(sums, float.NaN);
        layer.Forward(problem.X, problem.Plan, sums);
        return sums;
    }

    /// <summary>Holds that an action refuses a parameter with a message that starts so.</summary>
    public static void AssertRefused(string message, string parameter, Action action)
    {
        var error = Assert.Throws<ArgumentException>(parameter, action);
        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
    }
}
