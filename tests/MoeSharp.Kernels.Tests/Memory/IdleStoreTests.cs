namespace MoeSharp.Kernels.Tests;

/// <summary>What waits to be used again, on things that say when they are freed.</summary>
public sealed class IdleStoreTests
{
    [Fact]
    public void TakeLast_SomeItems_GivesTheLatestFirstAndNullAtTheEnd()
    {
        var store = Of(3, 1, 2);

        Assert.Equal([2, 1, 3], Enumerable.Range(0, 3).Select(_ => store.TakeLast()!.Size));
        Assert.Null(store.TakeLast());
    }

    [Fact]
    public void TakeSmallest_SizesWithinAndWithoutTheBounds_GivesTheSmallestWithin()
    {
        var store = Of(9, 4, 6, 2);

        Assert.Equal(4, store.TakeSmallest(item => item.Size, 3, 8)!.Size);
        Assert.Equal(6, store.TakeSmallest(item => item.Size, 3, 8)!.Size);
        Assert.Null(store.TakeSmallest(item => item.Size, 3, 8));
        Assert.Equal(11, store.Sum(item => item.Size));
    }

    [Fact]
    public void Trim_ATime_FreesWhatHasBeenIdleSinceBeforeIt()
    {
        var store = Of(1, 2);
        var (second, first) = (store.TakeLast()!, store.TakeLast()!);
        store.Add(first);
        store.Add(second);

        store.Trim(Environment.TickCount64 - 60_000);
        Assert.False(first.IsFreed || second.IsFreed);

        store.Trim(Environment.TickCount64 + 1);
        Assert.True(first.IsFreed && second.IsFreed);
        Assert.Null(store.TakeLast());

        store.Add(new Item(5));     // after nothing was left it waits anew
        Assert.Equal(5, store.TakeLast()!.Size);
    }

    private static IdleStore<Item> Of(params int[] sizes)
    {
        var store = new IdleStore<Item>();
        foreach (int size in sizes) store.Add(new Item(size));
        return store;
    }

    private sealed class Item(int size) : IDisposable
    {
        public int Size => size;

        public bool IsFreed { get; private set; }

        public void Dispose() => IsFreed = true;
    }
}
