namespace MoeSharp;

/// <summary>
/// Tokens in chunks of a fixed size that never cross a group: what is summed is summed chunk by chunk in order, so the bits do not
/// depend on the number of threads.
/// </summary>
internal readonly struct TokenChunks(int groups, int groupLength)
{
    private const int Size = 64;
    private const long LeastWork = 8_192;      // values; below it, waking another thread costs more than it saves

    private readonly int _perGroup = (groupLength + Size - 1) / Size;

    public int Count => groups * _perGroup;

    /// <summary>The group of a chunk.</summary>
    public int Group(int chunk) => chunk / _perGroup;

    /// <summary>The first token of a chunk, and the one after its last.</summary>
    public (int First, int End) Tokens(int chunk)
    {
        var (group, part) = Math.DivRem(chunk, _perGroup);
        int start = group * groupLength;
        return (start + part * Size, start + Math.Min(groupLength, (part + 1) * Size));
    }

    /// <summary>Runs <paramref name="body"/> for every chunk, on several threads when there is enough work.</summary>
    /// <param name="valuesPerToken">How many values a token has: the measure of work.</param>
    /// <param name="body">Gets the chunk.</param>
    public void ForEach(int valuesPerToken, Action<int> body)
    {
        if (Count == 1 || (long)groups * groupLength * valuesPerToken < LeastWork)
        {
            for (int chunk = 0; chunk < Count; chunk++) body(chunk);
        }
        else
        {
            WorkerPool.Shared.ForEach(Count, body);
        }
    }
}
