namespace MoeSharp;

/// <summary>
/// Random numbers as a function of where they are used: the same seed, step, stream and place give the same number, for any order of
/// computing and after a resume. The mixer is that of SplitMix64 (Steele, Lea and Flood 2014).
/// </summary>
internal readonly struct CounterRandom(int seed, long step, int stream)
{
    private readonly ulong _key = Mix(Mix(Mix((uint)seed + 0x9E3779B97F4A7C15) + (ulong)step) + (uint)stream);

    /// <summary>64 even bits for a place.</summary>
    public ulong Bits(long place) => Mix(_key + ((ulong)place * 0x9E3779B97F4A7C15));

    /// <summary>An even draw above 0 and below 1.</summary>
    public float Uniform(long place) => ((Bits(place) >> 41) + 0.5f) * (1f / (1 << 23));

    /// <summary>A draw of the exponential distribution with mean 1.</summary>
    public float Exponential(long place) => -MathF.Log(Uniform(place));

    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
