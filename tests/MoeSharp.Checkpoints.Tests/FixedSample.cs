using CsCheck;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>CsCheck's generators drawn from one fixed seed: <c>Check.Sample</c> fixes only its first draw and takes the others from the clock.</summary>
internal static class FixedSample
{
    public static void ForEach<T>(this Gen<T> generator, int count, Action<T> check)
    {
        var random = new PCG(stream: 1, seed: 20_261_124);
        for (int i = 0; i < count; i++)
        {
            var value = generator.Generate(random, null, out _);
            try
            {
                check(value);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Draw {i} of {count} failed for: {value}", e);
            }
        }
    }
}
