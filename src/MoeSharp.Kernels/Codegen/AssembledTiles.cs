namespace MoeSharp;

/// <summary>A kernel whose machine code is written at run time.</summary>
internal interface IAssembledKernel
{
    /// <summary>Why it cannot run here, to follow "it"; null when it can.</summary>
    string? Obstacle { get; }

    /// <summary>What went wrong although the processor has the instructions; null when nothing did.</summary>
    string? Fault { get; }

    /// <summary>The code of a tile, as this system calls it. Needs no processor that could run it.</summary>
    byte[] Code(int rows, TilePrefetch prefetch);
}

/// <summary>The assembled tiles of a kernel: each is written when first asked for, and checked against the managed twin before it is used.</summary>
/// <param name="maxRows">The most rows.</param>
/// <param name="twin">The name of what computes the same in C#.</param>
/// <param name="emit">Writes the code.</param>
/// <param name="publish">Makes code executable and gives its address; 0 when it may not.</param>
/// <param name="agrees">Whether the code at an address computes for so many rows what the twin does.</param>
internal sealed class AssembledTiles(int maxRows, string twin, Func<int, TilePrefetch, byte[]> emit, Func<byte[], nint> publish, Func<nint, int, bool> agrees)
{
    private const nint UseTwin = -1;

    private readonly nint[] _addresses = new nint[(maxRows + 1) * 3];       // 0: not yet asked for
    private readonly Lock _lock = new();

    /// <summary>Why a tile is left to the twin; null while none is.</summary>
    public string? Fault { get; private set; }

    /// <summary>The address of a tile; false where the system refuses memory for code, or the code does not compute what the twin does.</summary>
    public bool TryGet(int rows, TilePrefetch prefetch, out nint address)
    {
        address = Volatile.Read(ref _addresses[rows * 3 + (int)prefetch]);
        if (address == 0) address = GetOrCreate(rows, prefetch);
        return address != UseTwin;
    }

    private nint GetOrCreate(int rows, TilePrefetch prefetch)
    {
        lock (_lock)
        {
            ref nint known = ref _addresses[rows * 3 + (int)prefetch];
            if (known == 0) Volatile.Write(ref known, Create(rows, prefetch));
            return known;
        }
    }

    private nint Create(int rows, TilePrefetch prefetch)
    {
        nint tile = publish(emit(rows, prefetch));
        if (tile == 0)
        {
            Fault = "the system allows no memory for code written at run time";
            return UseTwin;
        }

        if (agrees(tile, rows)) return tile;

        Fault = $"the code for {rows} rows does not compute what {twin} does";
        return UseTwin;
    }
}
