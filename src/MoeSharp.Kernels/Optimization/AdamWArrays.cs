namespace MoeSharp;

/// <summary>
/// The memory of one parameter, or of a part of one: float32 weights, two moments, a gradient, and perhaps the weights rounded to bfloat16
/// (then the float32 weights are the master copy). The arrays have the same length and do not overlap.
/// </summary>
internal readonly unsafe struct AdamWArrays
{
    /// <summary>The number of values of each array.</summary>
    public required long Length { get; init; }

    /// <summary>The weights.</summary>
    public required float* Weights { get; init; }

    /// <summary>The first moment: bfloat16 or float32.</summary>
    public required void* First { get; init; }

    /// <summary>The second moment, of the type of the first.</summary>
    public required void* Second { get; init; }

    /// <summary>The gradient, bfloat16 or float32; null for one of zeros.</summary>
    public void* Gradient { get; init; }

    /// <summary>Receives the weights rounded to bfloat16; null for no such copy.</summary>
    public ushort* Rounded { get; init; }

    /// <summary>Whether the moments are bfloat16.</summary>
    public bool HasBFloat16Moments { get; init; }

    /// <summary>Whether the gradient is bfloat16.</summary>
    public bool HasBFloat16Gradient { get; init; }

    /// <summary>
    /// Whether every gradient is +0: then a step is that of no gradient, to the bit. (A -0 can leave a moment -0.)
    /// </summary>
    public bool HasZeroGradient => HasBFloat16Gradient
        ? !new ReadOnlySpan<ushort>(Gradient, checked((int)Length)).ContainsAnyExcept((ushort)0)
        : !new ReadOnlySpan<uint>(Gradient, checked((int)Length)).ContainsAnyExcept(0u);

    private int MomentSize => HasBFloat16Moments ? sizeof(ushort) : sizeof(float);

    private int GradientSize => HasBFloat16Gradient ? sizeof(ushort) : sizeof(float);

    /// <summary>A part of the arrays.</summary>
    public AdamWArrays Slice(long start, long length) => this with
    {
        Length = length,
        Weights = Weights + start,
        First = (byte*)First + start * MomentSize,
        Second = (byte*)Second + start * MomentSize,
        Gradient = Gradient is null ? null : (byte*)Gradient + start * GradientSize,
        Rounded = Rounded is null ? null : Rounded + start,
    };

    /// <summary>Checks that the needed arrays are there and none overlaps another.</summary>
    /// <exception cref="ArgumentException">They are not, or one does.</exception>
    public void Check()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(Length);
        if (Length == 0) return;

        (string Name, nuint Start, long Bytes)[] arrays =
        [
            ("Weights", (nuint)Weights, Length * sizeof(float)), ("First", (nuint)First, Length * MomentSize), ("Second", (nuint)Second, Length * MomentSize),
            ("Gradient", (nuint)Gradient, Length * GradientSize), ("Rounded", (nuint)Rounded, Length * sizeof(ushort)),
        ];
        foreach (var (name, start, _) in arrays[..3])
        {
            if (start == 0) throw new ArgumentException($"{name} is null; expected the address of {Length} values.");
        }

        Array.Sort(arrays, (a, b) => a.Start.CompareTo(b.Start));
        for (int i = 1; i < arrays.Length; i++)
        {
            if (arrays[i - 1].Start != 0 && arrays[i].Start - arrays[i - 1].Start < (nuint)arrays[i - 1].Bytes)
                throw new ArgumentException($"{arrays[i - 1].Name} and {arrays[i].Name} overlap; give each its own memory.");
        }
    }
}
