namespace MoeSharp;

/// <summary>What layers demand of the options and spans of a caller.</summary>
internal static class LayerCheck
{
    private const int LargestSize = 1 << 24;

    /// <summary>Throws unless a span has the length that it must have.</summary>
    /// <param name="length">Its length.</param>
    /// <param name="expected">What it must be.</param>
    /// <param name="name">The parameter.</param>
    /// <param name="meaning">What the expected number is.</param>
    /// <exception cref="ArgumentException">It has not.</exception>
    public static void Length(int length, long expected, string name, string meaning)
    {
        if (length != expected) throw new ArgumentException($"{name} has {length} values; expected {expected} ({meaning}).", name);
    }

    /// <summary>The number of rows of <paramref name="width"/> values.</summary>
    /// <exception cref="ArgumentException">They are not whole rows.</exception>
    public static int Rows(int length, int width, string name)
    {
        if (length % width != 0) throw new ArgumentException($"{name} has {length} values; expected a multiple of HiddenSize {width}, one row per token.", name);
        return length / width;
    }

    /// <summary>Throws unless the kernels can take a layer of such sizes.</summary>
    /// <exception cref="ArgumentException">One is too large.</exception>
    public static void Sizes(MoeOptions options)
    {
        int largest = Math.Max(options.Router.ExpertCount, Math.Max(options.HiddenSize, options.Experts.IntermediateSize));
        if (largest > LargestSize)
            throw new ArgumentException($"The options have {options.Router.ExpertCount} experts of {options.HiddenSize} by {options.Experts.IntermediateSize}; the kernels take up to {LargestSize} of each.", nameof(options));
        if (options.Shared?.IntermediateSize > LargestSize)
            throw new ArgumentException($"The options have a shared expert of {options.HiddenSize} by {options.Shared.IntermediateSize}; the kernels take up to {LargestSize} of each.", nameof(options));
    }
}
