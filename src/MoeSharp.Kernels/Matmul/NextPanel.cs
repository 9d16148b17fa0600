namespace MoeSharp;

/// <summary>The memory that becomes the next panel, which the blocks of a product fetch together: one line per lane of depth each.</summary>
internal readonly unsafe struct NextPanel
{
    private const int LastBlocks = 2;      // that fetch half a panel

    private readonly byte* _first, _second;
    private readonly nint _stride;
    private readonly bool _isHalf;

    private NextPanel(byte* first, byte* second, nint stride, bool isHalf = false)
    {
        _first = first;
        _second = second;
        _stride = stride;
        _isHalf = isHalf;
    }

    /// <summary>Nothing to fetch.</summary>
    public static NextPanel None => default;

    /// <summary>Two pieces of half a panel each.</summary>
    public static NextPanel Of(byte* first, byte* second) => new(first, second, 0);

    /// <summary>Two lines, and as many more of each, <paramref name="stride"/> bytes apart, as the product has lanes of depth.</summary>
    public static NextPanel Rows(byte* first, byte* second, nint stride) => new(first, second, stride);

    /// <summary>The first half of two pieces, late: by the last blocks of a product, which are fewer than all.</summary>
    public NextPanel LateHalf => new(_first, _second, _stride, isHalf: true);

    /// <summary>What block <paramref name="block"/> fetches: where from, and how far from lane to lane. False for nothing.</summary>
    public bool For(int block, int blocks, int depth, out byte* start, out nint step)
    {
        if (_isHalf) return ForLast(block - (blocks - LastBlocks), depth, out start, out step);

        int ofFirst = (blocks + 1) / 2;
        bool isFirst = block < ofFirst;
        int part = isFirst ? block : block - ofFirst, parts = isFirst ? ofFirst : blocks - ofFirst;
        nint half = (nint)depth * CacheLines.Size;

        start = (isFirst ? _first : _second) + (_stride > 0 ? 0 : part * (half / parts));
        step = _stride > 0 ? _stride : (CacheLines.Size + parts - 1) / parts;
        return _first is not null && (_stride == 0 || part == 0);
    }

    private bool ForLast(int part, int depth, out byte* start, out nint step)
    {
        start = _first + part * ((nint)depth * CacheLines.Size / LastBlocks);
        step = CacheLines.Size / LastBlocks;
        return _first is not null && part >= 0;
    }
}
