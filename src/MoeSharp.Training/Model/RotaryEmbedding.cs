using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// Rotary positions (Su et al. 2021, arXiv:2104.09864) in the half-split form of the Llama family: element i of the first half turns with
/// element i of the second half by the angle position · theta^(-2i / size).
/// </summary>
internal sealed class RotaryEmbedding
{
    private readonly int _size;
    private readonly double _theta;

    public RotaryEmbedding(int headSize, double theta)
    {
        _size = headSize;
        _theta = theta;
    }

    /// <summary>The turns of consecutive positions: cosines and sines [count, size] from position <paramref name="first"/> on.</summary>
    public (Tensor Cos, Tensor Sin) Angles(long first, long count, Device device)
    {
        using var scope = NewDisposeScope();

        var frequencies = pow(_theta, arange(0, _size, 2, ScalarType.Float32, device) / -_size);                   // [size / 2]
        var angles = outer(arange(first, first + count, ScalarType.Float32, device), frequencies);             // [count, size / 2]
        var both = cat([angles, angles], -1);

        return (both.cos().MoveToOuterDisposeScope(), both.sin().MoveToOuterDisposeScope());
    }

    /// <summary>Turns <paramref name="heads"/> [B, heads, S, size] by <paramref name="angles"/> [S, size].</summary>
    public static Tensor Rotate(Tensor heads, (Tensor Cos, Tensor Sin) angles)
    {
        using var scope = NewDisposeScope();

        var halves = heads.chunk(2, -1);
        var turned = cat([-halves[1], halves[0]], -1);

        return (heads * angles.Cos + turned * angles.Sin).MoveToOuterDisposeScope();
    }
}
