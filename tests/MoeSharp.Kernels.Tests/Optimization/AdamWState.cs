namespace MoeSharp.Kernels.Tests;

/// <summary>Weights and float32 moments with drawn values.</summary>
internal sealed class AdamWState
{
    public AdamWState(int length, int seed)
    {
        Weights = Draw(length, seed);
        First = Draw(length, seed + 1);
        Second = [.. Draw(length, seed + 2).Select(value => value * value)];
    }

    public float[] Weights { get; }

    public float[] First { get; }

    public float[] Second { get; }

    /// <summary>Values between -2 and 2 of very different sizes, some of them zero.</summary>
    public static float[] Draw(int length, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(16) == 0 ? 0 : (random.NextSingle() * 4 - 2) * MathF.Pow(10, -random.Next(4)))];
    }

    public AdamWSpans<float, float> Slice(int start, int length, float[] gradient) => new()
    {
        Weights = Weights.AsSpan(start, length),
        First = First.AsSpan(start, length),
        Second = Second.AsSpan(start, length),
        Gradient = gradient,
    };

    public void Take(float[] gradient, AdamWStep step, WorkerPool? pool = null) => Slice(0, Weights.Length, gradient).Take(new[] { step }, pool);

    public uint[] Bits() => [.. Weights.Concat(First).Concat(Second).Select(BitConverter.SingleToUInt32Bits)];
}
