using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

/// <summary>Arrays that end right before, or begin right after, memory that ends the process when it is touched.</summary>
public sealed unsafe class AdamWGuardTests : IDisposable
{
    private const int Longest = 70;

    private readonly GuardedMemory[] _memory = [.. Enumerable.Range(0, 5).Select(_ => new GuardedMemory(Longest * sizeof(float)))];

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Run_BetweenGuards_TouchesNothingBeyond(bool isAtTheEnd, bool isBFloat16)
    {
        var rates = new AdamWRates { LearningRate = 0.01, WeightDecay = 0.1 };
        int size = isBFloat16 ? sizeof(ushort) : sizeof(float);
        for (int length = 0; length <= Longest; length++)
        {
            var arrays = new AdamWArrays
            {
                Length = length,
                Weights = (float*)Place(0, length * sizeof(float)),
                First = Place(1, length * size),
                Second = Place(2, length * size),
                Gradient = Place(3, length * size),
                Rounded = (ushort*)Place(4, length * sizeof(ushort)),
                HasBFloat16Moments = isBFloat16,
                HasBFloat16Gradient = isBFloat16,
            };

            AdamWKernel.Run([new AdamWWork(arrays, new[] { rates.At(1), rates.At(2) })], WorkerPool.Shared);

            Assert.True(arrays.HasZeroGradient);
        }

        byte* Place(int array, int bytes) => isAtTheEnd ? _memory[array].Last(bytes) : _memory[array].First(bytes);
    }

    public void Dispose()
    {
        foreach (var memory in _memory) memory.Dispose();
    }
}
