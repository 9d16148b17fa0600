namespace MoeSharp.Kernels.Tests;

/// <summary>Threads that work together.</summary>
public sealed class WorkerPoolTests
{
    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 0)]
    [InlineData(2, 1)]
    [InlineData(3, 1000)]
    public void ForEach_AnyCount_TakesEachIndexOnce(int threads, int count)
    {
        using var pool = new WorkerPool(threads);
        for (int again = 0; again < 20; again++)
        {
            int[] taken = new int[count];

            pool.ForEach(count, index => Interlocked.Increment(ref taken[index]));

            Assert.All(taken, times => Assert.Equal(1, times));
        }
    }

    [Theory]
    [InlineData(null, 3)]
    [InlineData("", 3)]
    [InlineData("2", 2)]
    public void ThreadsFrom_APreference_HoldsWhereTheVariableSaysNothing(string? text, int expected) => Assert.Equal(expected, WorkerPool.ThreadsFrom(text, preferred: 3));

    [Fact]
    public void ForEach_FromWithin_RunsOnTheThreadThatCallsIt()
    {
        using var pool = new WorkerPool(3);
        int others = 0;

        pool.ForEach(20, _ =>
        {
            int own = Environment.CurrentManagedThreadId;
            pool.ForEach(20, _ => Interlocked.Add(ref others, Environment.CurrentManagedThreadId == own ? 0 : 1));
        });

        Assert.Equal(0, others);
    }

    [Fact]
    public void ForEach_AnErrorOfAnyThread_ReachesTheCallerAndLeavesThePoolInOrder()
    {
        using var pool = new WorkerPool(3);
        int done = 0;

        var error = Assert.Throws<InvalidDataException>(() => pool.ForEach(100, index => throw new InvalidDataException($"{index}")));
        pool.ForEach(100, _ => Interlocked.Increment(ref done));

        Assert.InRange(int.Parse(error.Message, System.Globalization.CultureInfo.InvariantCulture), 0, 99);
        Assert.Equal(100, done);
    }
}
