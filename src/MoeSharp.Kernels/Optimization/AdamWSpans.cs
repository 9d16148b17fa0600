namespace MoeSharp;

/// <summary><see cref="AdamWArrays"/> as spans, of float for float32 and of ushort for bfloat16.</summary>
internal readonly unsafe ref struct AdamWSpans<TGradient, TMoment>
    where TGradient : unmanaged
    where TMoment : unmanaged
{
    /// <summary>The weights, or their master copy.</summary>
    public required Span<float> Weights { get; init; }

    /// <summary>The first moment.</summary>
    public required Span<TMoment> First { get; init; }

    /// <summary>The second moment.</summary>
    public required Span<TMoment> Second { get; init; }

    /// <summary>The gradient; empty for one of zeros.</summary>
    public ReadOnlySpan<TGradient> Gradient { get; init; }

    /// <summary>Receives the weights rounded to bfloat16; empty for no such copy.</summary>
    public Span<ushort> Rounded { get; init; }

    /// <summary>Takes steps one after another; the gradient belongs to the last.</summary>
    /// <exception cref="ArgumentException">Lengths differ, spans overlap, or a beta is too close to 1 for bfloat16 moments.</exception>
    public void Take(ReadOnlyMemory<AdamWStep> steps, WorkerPool? pool = null)
    {
        CheckLength(nameof(First), First.Length);
        CheckLength(nameof(Second), Second.Length);
        if (!Gradient.IsEmpty) CheckLength(nameof(Gradient), Gradient.Length);
        if (!Rounded.IsEmpty) CheckLength(nameof(Rounded), Rounded.Length);

        fixed (float* weights = Weights)
        fixed (TMoment* first = First, second = Second)
        fixed (TGradient* gradient = Gradient)
        fixed (ushort* rounded = Rounded)
        {
            var arrays = new AdamWArrays
            {
                Length = Weights.Length,
                Weights = weights,
                First = first,
                Second = second,
                Gradient = gradient,
                Rounded = rounded,
                HasBFloat16Moments = IsBFloat16<TMoment>(),
                HasBFloat16Gradient = IsBFloat16<TGradient>(),
            };
            AdamWKernel.Run([new AdamWWork(arrays, steps)], pool ?? WorkerPool.Shared);
        }
    }

    private void CheckLength(string name, int length)
    {
        if (length != Weights.Length) throw new ArgumentException($"{name} has {length} values; expected {Weights.Length}, as many as Weights.");
    }

    private static bool IsBFloat16<T>() =>
        typeof(T) == typeof(ushort) || (typeof(T) == typeof(float) ? false : throw new NotSupportedException($"Values of {typeof(T).Name}; expected float, or ushort for bfloat16."));
}
