using System.Globalization;

namespace MoeSharp.TestKit;

/// <summary>Makes tests with drawn inputs run longer, and on other draws: <c>eng/fuzz.sh</c> sets both. Unset, the same draws every time.</summary>
public static class FuzzRun
{
    /// <summary>Added to every seed: <c>MOESHARP_FUZZ_SEED</c>; default 0.</summary>
    public static int Seed { get; } = Read("MOESHARP_FUZZ_SEED", 0);

    /// <summary>How many times as many draws: <c>MOESHARP_FUZZ_ROUNDS</c>; default 1.</summary>
    public static int Rounds { get; } = Read("MOESHARP_FUZZ_ROUNDS", 1);

    private static int Read(string variable, int absent) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture) : absent;
}
