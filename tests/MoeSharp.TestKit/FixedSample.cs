using CsCheck;

namespace MoeSharp.TestKit;

/// <summary>CsCheck's generators drawn from one fixed seed: <c>Check.Sample</c> fixes only its first draw and takes the others from the clock.</summary>
public static class FixedSample
{
    /// <summary>Runs a check on drawn values.</summary>
    public static void ForEach<T>(this Gen<T> generator, int count, Action<T> check, Func<T, string>? print = null)
    {
        var random = new PCG(stream: 1, seed: 20_261_124 + (ulong)FuzzRun.Seed);
        count *= FuzzRun.Rounds;
        for (int i = 0; i < count; i++)
        {
            var value = generator.Generate(random, null, out _);
            try
            {
                check(value);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Draw {i} of {count} failed for: {print?.Invoke(value) ?? value?.ToString()}", e);
            }
        }
    }

    /// <summary>Checks that a law holds for drawn values.</summary>
    public static void Holds<T>(this Gen<T> generator, int count, Func<T, bool> law) => generator.ForEach(count, value =>
    {
        if (!law(value)) throw new InvalidOperationException("The law does not hold.");
    });
}
