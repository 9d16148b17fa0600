namespace MoeSharp;

/// <summary>The memory that becomes the next panel, which the blocks of a product fetch together: one line per lane of depth each.</summary>
internal readonly unsafe struct NextPanel
{
    private const int Line = 64;

    private readonly byte* _first, _second;
    private readonly nint _stride;

    private NextPanel(byte* first, byte* second, nint stride)
    {
        _first = first;
        _second = second;
        _stride = stride;
    }

    /// <summary>Nothing to fetch.</summary>
    public static NextPanel None => default;

    /// <summary>Two pieces of half a panel each.</summary>
    public static NextPanel Of(byte* first, byte* second) => new(first, second, 0);

    /// <summary>Two lines, and as many more of each, <paramref name="stride"/> bytes apart, as the product has lanes of depth.</summary>
    public static NextPanel Rows(byte* first, byte* second, nint stride) => new(first, second, stride);

    /// <summary>What block <paramref name="block"/> fetches: where from, and how far from lane to lane. False for nothing.</summary>
    public bool For(int block, int blocks, int depth, out byte* start, out nint step)
    {
        int ofFirst = (blocks + 1) / 2;
        bool isFirst = block < ofFirst;
        int part = isFirst ? block : block - ofFirst, parts = isFirst ? ofFirst : blocks - ofFirst;
        nint half = (nint)depth * Line;

        start = (isFirst ? _first : _second) + (_stride > 0 ? 0 : part * (half / parts));
        step = _stride > 0 ? _stride : (Line + parts - 1) / parts;
        return _first is not null && (_stride == 0 || part == 0);
    }
}
