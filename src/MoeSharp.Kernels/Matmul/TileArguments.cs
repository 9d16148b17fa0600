using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>
/// What one call of a <see cref="TileKernel"/> reads and writes. Assembled code takes the address of this structure as its one argument,
/// so the order and size of the fields are fixed: eight bytes each.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TileArguments
{
    /// <summary>Where each row of A lies. Not all a multiple of a large power of two apart, or they share few sets of the nearest cache.</summary>
    public byte** Rows;

    /// <summary>The byte of each row at which it is read first: <see cref="Depth"/> lanes of 32 bits.</summary>
    public nint Start;

    /// <summary>The panel of B: [Depth][<see cref="TileKernel.Columns"/>] lanes, without gaps.</summary>
    public byte* B;

    /// <summary>Receives the tile [rows][<see cref="TileKernel.Columns"/>] as float32, without gaps.</summary>
    public float* C;

    /// <summary>The number of lanes that are summed over; 0 or more.</summary>
    public nint Depth;

    /// <summary>Under <see cref="TilePrefetch.Next"/>, the first line of memory to fetch.</summary>
    public byte* Prefetch;

    /// <summary>Bytes to move <see cref="Prefetch"/> by per lane of depth.</summary>
    public nint PrefetchStep;

    /// <summary>Not 0 to go on with the sums that <see cref="C"/> holds, which only kernels with a <see cref="TileKernel.DepthPart"/> can.</summary>
    public nint Continues;

    /// <summary>Bytes from a panel to the next, for a tile over several.</summary>
    public nint PanelStep;
}

/// <summary>What a tile fetches ahead of its use.</summary>
internal enum TilePrefetch
{
    /// <summary>Nothing: short tiles run at the speed of memory by themselves, and a fetch would only take its place.</summary>
    None,

    /// <summary>Its own panel, some KB ahead: for a panel that comes from memory and is read once.</summary>
    Own,

    /// <summary>One line per lane of depth at <see cref="TileArguments.Prefetch"/>: the panel that comes after, while this one is read from the cache.</summary>
    Next,
}
