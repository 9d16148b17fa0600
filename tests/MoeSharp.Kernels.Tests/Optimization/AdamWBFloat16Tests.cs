namespace MoeSharp.Kernels.Tests;

/// <summary>bfloat16 moments, gradients and copies of the weights.</summary>
public sealed class AdamWBFloat16Tests
{
    private const double Unit = 1.0 / 256;      // half the distance of bfloat16 values just above 1

    private static readonly AdamWRates Rates = new() { LearningRate = 0.01, WeightDecay = 0.1 };

    [Fact]
    public void Take_ACopyOfTheWeights_IsTheMasterRoundedToNearestEven()
    {
        for (int length = 1; length <= 257; length++)
        {
            var (state, plain) = (new AdamWState(length, seed: length), new AdamWState(length, seed: length));
            ushort[] gradient = Rounded(AdamWState.Draw(length, seed: 3)), copy = new ushort[length];

            new AdamWSpans<ushort, float> { Weights = state.Weights, First = state.First, Second = state.Second, Gradient = gradient, Rounded = copy }.Take(new[] { Rates.At(1) });
            plain.Take([.. gradient.Select(Widen)], Rates.At(1));

            Assert.Equal(plain.Bits(), state.Bits());
            Assert.Equal(Rounded(state.Weights), copy);
        }
    }

    // ties, both halves of NaN's payload, what overflows, denormals
    [Fact]
    public void Take_AnyFloat_RoundsToNearestEven()
    {
        var random = new Random(5);
        uint[] special = [0x3F80_8000, 0x3F81_8000, 0x3F80_7FFF, 0x3F80_8001, 0x7F7F_FFFF, 0xFF7F_FFFF, 0x7F80_0000, 0xFF80_0000, 0x0000_0001, 0x8000_8000, 0x0000_0000, 0x8000_0000];
        float[] weights = [.. special.Concat(Enumerable.Range(0, 4000).Select(_ => (uint)random.NextInt64(1L << 32))).Select(BitConverter.UInt32BitsToSingle)];
        float[] before = [.. weights];
        ushort[] copy = new ushort[weights.Length];
        float[] first = new float[weights.Length], second = new float[weights.Length];

        new AdamWSpans<float, float> { Weights = weights, First = first, Second = second, Rounded = copy }.Take(new[] { (Rates with { WeightDecay = 0 }).At(1) });

        foreach (var (i, value) in before.Index())
        {
            if (float.IsNaN(value)) Assert.True(float.IsNaN(Widen(copy[i])));
            else Assert.Equal(Round(value), copy[i]);
        }
    }

    // each rounding is off by at most Unit; those before fade with beta, so that all of them together are a geometric sum
    [Theory]
    [InlineData(0.9, 0.95)]
    [InlineData(0.9, 0.99)]
    [InlineData(0.5, 0.9)]
    public void Take_Moments_StayWithinTheStatedError(double beta1, double beta2)
    {
        const int Length = 61, Steps = 400;
        var rates = Rates with { Beta1 = beta1, Beta2 = beta2 };
        ushort[] first = new ushort[Length], second = new ushort[Length];
        double[] exactFirst = new double[Length], exactSecond = new double[Length], largest = new double[Length];

        for (int step = 1; step <= Steps; step++)
        {
            float[] gradient = [.. AdamWState.Draw(Length, seed: step).Select(value => step > 300 ? 0 : value + 0.1f)];
            new AdamWSpans<float, ushort> { Weights = new float[Length], First = first, Second = second, Gradient = gradient }.Take(new[] { rates.At(step) });
            for (int i = 0; i < Length; i++)
            {
                exactFirst[i] = beta1 * exactFirst[i] + (1 - beta1) * gradient[i];
                exactSecond[i] = beta2 * exactSecond[i] + (1 - beta2) * gradient[i] * (double)gradient[i];
                largest[i] = Math.Max(largest[i] * beta1, Math.Abs(exactFirst[i]));
                Assert.InRange(Math.Abs(Widen(first[i]) - exactFirst[i]), 0, 1.1 * Unit / (1 - beta1) * Math.Max(largest[i], 0.3));
                Assert.InRange(Math.Abs(Widen(second[i]) - exactSecond[i]), 0, 1.1 * Unit / (1 - beta2) * Math.Max(exactSecond[i], 1e-30));
            }
        }
    }

    [Fact]
    public void Take_StepsAtOnce_HaveTheBitsOfStepsTakenInTurn()
    {
        for (int length = 1; length <= 70; length++)
        {
            var (one, other) = (new AdamWState(length, seed: 1), new AdamWState(length, seed: 1));
            ushort[] first = Rounded(one.First), second = Rounded(one.Second), otherFirst = [.. first], otherSecond = [.. second];
            ushort[] gradient = Rounded(AdamWState.Draw(length, seed: 2));
            AdamWStep[] steps = [.. Enumerable.Range(1, 5).Select(number => (Rates with { LearningRate = 0.01 / number }).At(number))];

            new AdamWSpans<ushort, ushort> { Weights = one.Weights, First = first, Second = second, Gradient = gradient }.Take(steps);
            foreach (var step in steps)
                new AdamWSpans<ushort, ushort> { Weights = other.Weights, First = otherFirst, Second = otherSecond, Gradient = step == steps[^1] ? gradient : [] }.Take(new[] { step });

            Assert.Equal(other.Bits(), one.Bits());
            Assert.Equal(otherFirst, first);
            Assert.Equal(otherSecond, second);
        }
    }

    [Theory]
    [InlineData(0.9, 0.999, "Beta2 is 0.999, which decays by less than a bfloat16 moment can show. Set it to 0.9921875 or less, or keep float32 moments.")]
    [InlineData(0.9999, 0.95, "Beta1 is 0.9999, which decays by less than a bfloat16 moment can show. Set it to 0.9921875 or less, or keep float32 moments.")]
    public void Take_MomentsThatCouldNeverFall_AreRefused(double beta1, double beta2, string message)
    {
        var step = (Rates with { Beta1 = beta1, Beta2 = beta2 }).At(1);

        var error = Assert.Throws<ArgumentException>(() => new AdamWSpans<float, ushort> { Weights = new float[3], First = new ushort[3], Second = new ushort[3] }.Take(new[] { step }));

        Assert.Equal(message, error.Message);
    }

    private static ushort[] Rounded(IEnumerable<float> values) => [.. values.Select(Round)];

    // the nearer of the two neighbours, by their distance in double
    private static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        ushort down = (ushort)(bits >> 16);
        if ((bits & 0xFFFF) == 0 || float.IsInfinity(value)) return down;

        uint remainder = bits & 0xFFFF;
        return remainder > 0x8000 || (remainder == 0x8000 && down % 2 == 1) ? (ushort)(down + 1) : down;
    }

    private static float Widen(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);
}
