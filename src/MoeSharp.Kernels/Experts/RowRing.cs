using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>
/// Where the gathered rows of each expert lie: in a ring of a few experts, so that the rows of a long batch stay in the caches between their
/// gathering and their use, and take no more memory than those of a short one.
/// </summary>
/// <remarks>Experts come in the order of a pass's tasks. One that takes the place of others waits for them; they stand before it, so no two wait for each other.</remarks>
internal sealed class RowRing
{
    private const int LeastExperts = 4;                     // the largest: while one is multiplied the next are gathered
    private const long LeastBytesPerThread = 4 << 20;       // what a thread has of the last cache, as a rule

    private readonly List<int> _order = [];
    private long[] _starts = [];            // counted on from one lap to the next
    private (int From, int End)[] _before = [];
    private long _end;
    private int _oldest;

    /// <summary>The rows that it has room for.</summary>
    public int Rows { get; private set; }

    /// <summary>Begins a pass.</summary>
    /// <param name="experts">The number of experts.</param>
    /// <param name="rows">The rows of all.</param>
    /// <param name="most">The most rows of one.</param>
    /// <param name="rowBytes">The bytes of a row.</param>
    /// <param name="threads">The threads.</param>
    public void Clear(int experts, int rows, int most, nint rowBytes, int threads)
    {
        Rows = (int)Math.Min(rows, Math.Max((long)LeastExperts * most, threads * LeastBytesPerThread / rowBytes));
        (_end, _oldest) = (0, 0);
        _order.Clear();
        if (_starts.Length < experts) (_starts, _before) = (new long[experts], new (int, int)[experts]);
    }

    /// <summary>Gives the next expert in order its place.</summary>
    public void Add(int expert, int rows)
    {
        if (_end % Rows + rows > Rows) _end += Rows - _end % Rows;
        _starts[expert] = _end;
        _end += rows;

        int from = _oldest;
        while (_oldest < _order.Count && _starts[_order[_oldest]] < _end - Rows) _oldest++;
        _before[expert] = (from, _oldest);
        _order.Add(expert);
    }

    /// <summary>The first row of an expert.</summary>
    public int StartOf(int expert) => (int)(_starts[expert] % Rows);

    /// <summary>The experts whose place it takes, which must be done.</summary>
    public ReadOnlySpan<int> Before(int expert) => CollectionsMarshal.AsSpan(_order)[_before[expert].From.._before[expert].End];
}
