namespace MoeSharp;

/// <summary>
/// Which steps each slice of a parameter (one expert of a stack) has not taken yet. A slice whose gradient is all zeros can wait: taking its
/// steps later, one after another, gives the bits of taking each in its turn, because a step of a slice depends on nothing but the slice and
/// the step's constants. It saves moving the slice through memory each step, not the arithmetic.
/// </summary>
internal sealed class DeferredSteps
{
    private const int Trim = 256;

    private readonly int[] _taken;      // of _steps
    private AdamWStep[] _steps = new AdamWStep[16];
    private int _count;

    /// <param name="slices">The number of slices; none of them waits.</param>
    public DeferredSteps(int slices) => _taken = new int[slices];

    /// <summary>The number of slices.</summary>
    public int Count => _taken.Length;

    /// <summary>Whether any slice waits.</summary>
    public bool Any => _taken.AsSpan().ContainsAnyExcept(_count);

    /// <summary>Adds a step that no slice has taken.</summary>
    public void Add(AdamWStep step)
    {
        Forget();
        if (_count == _steps.Length) Array.Resize(ref _steps, 2 * _count);
        _steps[_count++] = step;
    }

    /// <summary>The steps that a slice has not taken, oldest first; valid until the next <see cref="Add"/>.</summary>
    public ReadOnlyMemory<AdamWStep> Of(int slice) => _steps.AsMemory(_taken[slice], _count - _taken[slice]);

    /// <summary>The same, which the caller now takes: the slice no longer waits.</summary>
    public ReadOnlyMemory<AdamWStep> Take(int slice)
    {
        var steps = Of(slice);
        _taken[slice] = _count;
        return steps;
    }

    // drops steps that all have taken: at once when nothing waits, else now and then
    private void Forget()
    {
        int oldest = _taken.Length == 0 ? _count : _taken.Min();
        if (oldest == 0 || (oldest < _count && oldest < Trim)) return;

        _steps.AsSpan(oldest, _count - oldest).CopyTo(_steps);
        _count -= oldest;
        foreach (ref int taken in _taken.AsSpan()) taken -= oldest;
    }
}
