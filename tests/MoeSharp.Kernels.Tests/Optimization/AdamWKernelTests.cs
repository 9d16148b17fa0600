using System.Runtime.InteropServices;
using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class AdamWKernelTests
{
    private static readonly AdamWRates Rates = new() { LearningRate = 0.01, WeightDecay = 0.1 };

    [Fact]
    public void Take_EveryLength_EqualsTheFormulaInDouble()
    {
        for (int length = 0; length <= 257; length++)
        {
            var state = new AdamWState(length, seed: length);
            Array.Clear(state.First);
            Array.Clear(state.Second);
            double[] weights = [.. state.Weights], first = new double[length], second = new double[length];

            for (int step = 1; step <= 4; step++)
            {
                float[] gradient = AdamWState.Draw(length, seed: 1000 * step + length);
                state.Take(gradient, Rates.At(step));
                for (int i = 0; i < length; i++) DoubleStep(Rates, step, gradient[i], ref weights[i], ref first[i], ref second[i]);
            }

            Assert.Equal(first, state.First.Select(value => (double)value), Close);
            Assert.Equal(second, state.Second.Select(value => (double)value), Close);
            Assert.Equal(weights, state.Weights.Select(value => (double)value), Close);
        }

        static bool Close(double a, double b) => Math.Abs(a - b) <= 1e-6 * Math.Max(Math.Abs(a), 0.1);
    }

    // whatever the vectors of this processor, the tail, the place, and its way to multiply and add
    [Theory]
    [InlineData(0.9, 0.95, 3)]
    [InlineData(0.9, 0.95, 1000)]       // its second correction is 1
    [InlineData(0.5, 0.999, 3)]
    [InlineData(0, 0, 3)]
    public void Take_EveryLength_HasTheBitsOfTheScalarFormula(double beta1, double beta2, int number)
    {
        var step = (Rates with { Beta1 = beta1, Beta2 = beta2 }).At(number);
        for (int length = 0; length <= 257; length++)
        {
            var (state, expected) = (new AdamWState(length, seed: length), new AdamWState(length, seed: length));
            float[] gradient = AdamWState.Draw(length, seed: 7);

            state.Take(gradient, step);
            for (int i = 0; i < length; i++) ScalarStep(step, gradient[i], ref expected.Weights[i], ref expected.First[i], ref expected.Second[i]);

            Assert.Equal(expected.Bits(), state.Bits());
        }
    }

    [Fact]
    public void Take_APart_LeavesWhatStandsAround()
    {
        for (int length = 0; length <= 70; length++)
        {
            var (state, untouched) = (new AdamWState(100, seed: 1), new AdamWState(100, seed: 1));
            float[] gradient = AdamWState.Draw(100, seed: 2);

            new AdamWSpans<float, float>
            {
                Weights = state.Weights.AsSpan(13, length),
                First = state.First.AsSpan(13, length),
                Second = state.Second.AsSpan(13, length),
                Gradient = gradient.AsSpan(13, length),
            }.Take(new[] { Rates.At(1) });

            foreach (var (before, after) in new[] { (untouched.Weights, state.Weights), (untouched.First, state.First), (untouched.Second, state.Second) })
            {
                Assert.Equal(before[..13], after[..13]);
                Assert.Equal(before[(13 + length)..], after[(13 + length)..]);
            }
        }
    }

    [Fact]
    public void Take_WithoutGradient_HasTheBitsOfAGradientOfZeros()
    {
        var (none, zeros) = (new AdamWState(100, seed: 1), new AdamWState(100, seed: 1));

        none.Take([], Rates.At(2));
        zeros.Take(new float[100], Rates.At(2));

        Assert.Equal(zeros.Bits(), none.Bits());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(9)]
    [InlineData(36)]       // of 37: in a tail
    public void Take_ValuesThatAreNotFinite_PassThroughAndTouchNoOther(int place)
    {
        foreach (float value in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            var (state, plain) = (new AdamWState(37, seed: 1), new AdamWState(37, seed: 1));
            float[] gradient = AdamWState.Draw(37, seed: 2);
            plain.Take(gradient, Rates.At(1));
            gradient[place] = value;

            state.Take(gradient, Rates.At(1));

            Assert.Equal(value, state.First[place]);
            Assert.Equal(Math.Abs(value), state.Second[place]);
            Assert.True(float.IsNaN(state.Weights[place]));
            (state.Weights[place], state.First[place], state.Second[place]) = (plain.Weights[place], plain.First[place], plain.Second[place]);
            Assert.Equal(plain.Bits(), state.Bits());
        }
    }

    [Fact]
    public void Take_AnyNumberOfThreads_GivesTheSameBits()
    {
        foreach (int length in new[] { 16_384, 16_385, 100_003 })
        {
            uint[][] runs = [.. new[] { 1, 2, 3, 8 }.Select(threads => RunOn(threads, length)), Run(length, WorkerPool.Shared)];

            Assert.All(runs, run => Assert.Equal(runs[0], run));
        }

        static uint[] RunOn(int threads, int length)
        {
            using var pool = new WorkerPool(threads);
            return Run(length, pool);
        }

        static uint[] Run(int length, WorkerPool pool)
        {
            var state = new AdamWState(length, seed: 1);
            for (int step = 1; step <= 2; step++) state.Take(AdamWState.Draw(length, seed: step + 5), Rates.At(step), pool);
            return state.Bits();
        }
    }

    [Fact]
    public unsafe void Run_ManyWorksOfAllLengths_TakesEachOnce()
    {
        int[] lengths = [0, 5, 0, 0, 16_384, 16_385, 0, 3, 40_000, 0];
        var states = lengths.Select((length, i) => new AdamWState(length, seed: i)).ToArray();
        var works = new List<AdamWWork>();
        var handles = new List<GCHandle>();
        foreach (var (i, state) in states.Index())
        {
            void* Pin(Array array)
            {
                handles.Add(GCHandle.Alloc(array, GCHandleType.Pinned));
                return (void*)handles[^1].AddrOfPinnedObject();
            }

            var arrays = new AdamWArrays { Length = lengths[i], Weights = (float*)Pin(state.Weights), First = Pin(state.First), Second = Pin(state.Second) };
            works.Add(new AdamWWork(arrays, new[] { Rates.At(i + 1) }));
        }

        using (var pool = new WorkerPool(2)) AdamWKernel.Run(works, pool);
        foreach (var handle in handles) handle.Free();

        foreach (var (i, length) in lengths.Index())
        {
            var alone = new AdamWState(length, seed: i);
            alone.Take([], Rates.At(i + 1));
            Assert.Equal(alone.Bits(), states[i].Bits());
        }
    }

    [Fact]
    public unsafe void HasZeroGradient_EveryLengthAndPlace_SeesTheOneValue()
    {
        for (int length = 1; length <= 100; length++)
        {
            float[] values = new float[length];
            fixed (float* start = values)
            {
                var (arrays, halves) = (Of(start, length, isBFloat16: false), Of(start, 2 * length, isBFloat16: true));
                for (int i = 0; i < length; i++)
                {
                    Assert.True(arrays.HasZeroGradient && halves.HasZeroGradient);
                    values[i] = (i % 3) switch { 0 => float.Epsilon, 1 => float.NaN, _ => -0f };
                    Assert.False(arrays.HasZeroGradient || halves.HasZeroGradient);
                    values[i] = 0;
                }
            }
        }

        static AdamWArrays Of(float* gradient, long length, bool isBFloat16) =>
            new() { Length = length, Weights = null, First = null, Second = null, Gradient = gradient, HasBFloat16Gradient = isBFloat16 };
    }

    [Fact]
    public void Deferred_AnyPatternOfIdleExperts_HasTheBitsOfStepsTakenInTurn() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 70], Gen.Int[1, 40], Gen.Int[0, 1_000_000]).ForEach(60, sample =>
        {
            var (experts, size, steps, seed) = sample;
            var random = new Random(seed);
            double used = random.NextDouble();
            var (dense, lazy) = (new AdamWState(experts * size, seed), new AdamWState(experts * size, seed));
            var deferred = new DeferredSteps(experts);

            for (int number = 1; number <= steps; number++)
            {
                var step = (Rates with { LearningRate = random.NextDouble() * 0.1, WeightDecay = random.NextDouble() }).At(number);
                deferred.Add(step);
                for (int expert = 0; expert < experts; expert++)
                {
                    bool isIdle = random.NextDouble() > used;
                    float[] gradient = isIdle ? new float[size] : AdamWState.Draw(size, random.Next());
                    dense.Slice(expert * size, size, gradient).Take(new[] { step });

                    if (!isIdle) lazy.Slice(expert * size, size, gradient).Take(deferred.Take(expert));
                    else if (random.Next(5) == 0) lazy.Slice(expert * size, size, []).Take(deferred.Take(expert));      // needed, but given no gradient
                }
            }

            for (int expert = 0; expert < experts; expert++) lazy.Slice(expert * size, size, []).Take(deferred.Take(expert));
            Assert.False(deferred.Any);
            Assert.Equal(dense.Bits(), lazy.Bits());
        });

    [Fact]
    public void Deferred_AThousandStepsOfADeadExpert_AreAllKeptAndTheOthersForgotten()
    {
        var (dense, lazy) = (new AdamWState(2, seed: 1), new AdamWState(2, seed: 1));
        var deferred = new DeferredSteps(2);

        for (int number = 1; number <= 1000; number++)
        {
            var step = (Rates with { LearningRate = 1e-3 / number }).At(number);
            deferred.Add(step);
            dense.Take([0, 1], step);
            lazy.Slice(1, 1, [1]).Take(deferred.Take(1));
            if (number == 700) lazy.Slice(0, 1, []).Take(deferred.Take(0));
        }

        Assert.Equal(300, deferred.Of(0).Length);
        lazy.Slice(0, 1, []).Take(deferred.Take(0));
        Assert.Equal(dense.Bits(), lazy.Bits());
    }

    [Fact]
    public void Take_WrongMemory_SaysWhatIsWrong()
    {
        float[] values = new float[30];

        Assert.Equal("First has 9 values; expected 10, as many as Weights.", Fault(10, 9, 10, 10));
        Assert.Equal("Second has 11 values; expected 10, as many as Weights.", Fault(10, 10, 11, 10));
        Assert.Equal("Gradient has 1 values; expected 10, as many as Weights.", Fault(10, 10, 10, 1));
        Assert.Equal("First has 0 values; expected 10, as many as Weights.", Fault(10, 0, 10, 10));
        Assert.Equal("Weights and Gradient overlap; give each its own memory.", Message(() => new AdamWSpans<float, float>
        {
            Weights = values.AsSpan(0, 10),
            First = new float[10],
            Second = new float[10],
            Gradient = values.AsSpan(9, 10),
        }.Take(new[] { Rates.At(1) })));
        Assert.Equal("First is null; expected the address of 4 values.", Message(NullMoment));

        static string Fault(int weights, int first, int second, int gradient) => Message(() => new AdamWSpans<float, float>
        {
            Weights = new float[weights],
            First = new float[first],
            Second = new float[second],
            Gradient = new float[gradient],
        }.Take(new[] { Rates.At(1) }));

        static unsafe void NullMoment()
        {
            float* weights = stackalloc float[4];
            AdamWKernel.Run([new AdamWWork(new AdamWArrays { Length = 4, Weights = weights, First = null, Second = null }, new[] { Rates.At(1) })], WorkerPool.Shared);
        }
    }

    [Fact]
    public void Rates_OutsideTheirRanges_AreAllInOneMessage()
    {
        var rates = new AdamWRates { LearningRate = -1, WeightDecay = double.NaN, Beta1 = 1, Beta2 = -0.5, Epsilon = double.PositiveInfinity };

        string message = Message(() => rates.At(1));

        Assert.StartsWith("AdamWRates has 5 faults:", message, StringComparison.Ordinal);
        Assert.Contains("LearningRate is -1; set it to 0 or more.", message, StringComparison.Ordinal);
        Assert.Contains("Beta1 is 1; set it to 0 or more and below 1.", message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => Rates.At(0));
    }

    private static string Message(Action action) => Assert.Throws<ArgumentException>(action).Message;

    private static void DoubleStep(AdamWRates rates, int step, double g, ref double w, ref double m, ref double v)
    {
        m = rates.Beta1 * m + (1 - rates.Beta1) * g;
        v = rates.Beta2 * v + (1 - rates.Beta2) * g * g;
        double mean = m / (1 - Math.Pow(rates.Beta1, step)), square = v / (1 - Math.Pow(rates.Beta2, step));
        w = w * (1 - rates.LearningRate * rates.WeightDecay) - rates.LearningRate * mean / (Math.Sqrt(square) + rates.Epsilon);
    }

    private static void ScalarStep(AdamWStep step, float g, ref float w, ref float m, ref float v)
    {
        m = step.Gain1 < 0.5f ? MathF.FusedMultiplyAdd(step.Gain1, g - m, m) : MathF.FusedMultiplyAdd(step.Gain1 - 1, g - m, g);
        v = MathF.FusedMultiplyAdd(step.Gain2 * g, g, v * step.Beta2);
        w = w * step.Keep + step.Move * m / (MathF.Sqrt(v) / step.Root + step.Epsilon);
    }
}
