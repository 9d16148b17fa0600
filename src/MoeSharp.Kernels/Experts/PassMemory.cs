namespace MoeSharp;

/// <summary>
/// What a pass needs and leaves to the next: its lists of tasks and rows, the rows between the products, and each thread's room for tiles and
/// panels. Grows, and serves one pass at a time.
/// </summary>
internal sealed unsafe class PassMemory : IDisposable
{
    private const int TileBytes = PanelProduct.RowsTogether * TileKernel.Columns * sizeof(float);

    private static readonly IdleStore<PassMemory> Idle = new();

    private readonly Dictionary<string, AlignedMemory> _areas = [];

    /// <summary>The list of tasks.</summary>
    public PassTasks Tasks { get; } = new();

    /// <summary>The list of rows.</summary>
    public ExpertRows Rows { get; } = new();

    /// <summary>Memory that no pass uses, as large as earlier ones left it: the layers of a model, which run one after the other, share one.</summary>
    public static PassMemory Rent() => Idle.TakeLast() ?? new PassMemory();

    /// <summary>Gives rented memory back.</summary>
    public void Return()
    {
        Rows.Forget();
        Idle.Add(this);
    }

    /// <summary>At least <paramref name="bytes"/> bytes under a name; what they hold means nothing once more are asked for.</summary>
    public byte* Area(string name, long bytes)
    {
        if (_areas.TryGetValue(name, out var area) && area.Length >= bytes) return area.Start;

        area?.Dispose();
        _areas.Remove(name);
        return (_areas[name] = new AlignedMemory(bytes, name)).Start;
    }

    /// <summary>Room for one tile and a panel for each of <paramref name="threads"/> threads.</summary>
    public ThreadScratch Scratch(int threads, nint panelBytes)
    {
        nint bytes = TileBytes + ((panelBytes + 4095) & -4096) + 4096;
        return new ThreadScratch(Area("the threads' scratch", threads * bytes), bytes, TileBytes);
    }

    public void Dispose()
    {
        foreach (var area in _areas.Values) area.Dispose();
        _areas.Clear();
    }
}

/// <summary>Memory of each thread.</summary>
internal readonly unsafe struct ThreadScratch(byte* start, nint bytes, nint tileBytes)
{
    /// <summary>Room for a tile.</summary>
    public float* Tile(int thread) => (float*)(start + thread * bytes);

    /// <summary>Room for a panel.</summary>
    public byte* Panel(int thread) => start + thread * bytes + tileBytes;
}
