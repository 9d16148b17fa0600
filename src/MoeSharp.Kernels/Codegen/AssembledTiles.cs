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
internal sealed unsafe class AssembledTiles
{
    private const nint UseTwin = -1;

    private readonly TileKernel _twin;
    private readonly Func<int, TilePrefetch, byte[]> _emit;
    private readonly Func<byte[], nint> _publish;
    private readonly nint[] _addresses; // 0: not yet asked for
    private readonly Lock _lock = new();

    /// <summary>Tiles of 1 to <paramref name="maxRows"/> rows.</summary>
    /// <param name="maxRows">The most rows.</param>
    /// <param name="twin">What computes the same in C#.</param>
    /// <param name="emit">Writes the code.</param>
    /// <param name="publish">Makes code executable and gives its address; 0 when it may not.</param>
    public AssembledTiles(int maxRows, TileKernel twin, Func<int, TilePrefetch, byte[]> emit, Func<byte[], nint> publish)
    {
        (_twin, _emit, _publish) = (twin, emit, publish);
        _addresses = new nint[(maxRows + 1) * 3];
    }

    /// <summary>Why a tile is left to the twin; null while none is.</summary>
    public string? Fault { get; private set; }

    public void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch)
    {
        nint tile = Volatile.Read(ref _addresses[rows * 3 + (int)prefetch]);
        if (tile is 0 or UseTwin && !TryGet(rows, prefetch, out tile)) TileCheck.MultiplyInBlocks(_twin, arguments, rows);
        else ((delegate* unmanaged[SuppressGCTransition]<TileArguments*, void>)tile)(arguments); // microseconds, and calls nobody: needs no transition
    }

    /// <summary>The address of a tile; false where the system refuses memory for code, or the code does not compute what the twin does.</summary>
    public bool TryGet(int rows, TilePrefetch prefetch, out nint address)
    {
        lock (_lock)
        {
            ref nint known = ref _addresses[rows * 3 + (int)prefetch];
            if (known == 0) Volatile.Write(ref known, Create(rows, prefetch));

            address = known;
            return address != UseTwin;
        }
    }

    private nint Create(int rows, TilePrefetch prefetch)
    {
        nint tile = _publish(_emit(rows, prefetch));
        if (tile == 0)
        {
            Fault = "the system allows no memory for code written at run time";
            return UseTwin;
        }

        if (TileCheck.Agrees((delegate* unmanaged[SuppressGCTransition]<TileArguments*, void>)tile, rows, _twin)) return tile;

        Fault = $"the code for {rows} rows does not compute what {_twin.Name} does";
        return UseTwin;
    }
}
