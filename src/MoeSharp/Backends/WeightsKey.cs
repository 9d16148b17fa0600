using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>
/// What says that the matrices of experts are those of an earlier call: where they lie, libtorch's counts of their changes, and a sample of
/// their values, which tells of memory that was written behind libtorch's back (a state dictionary that is read from a stream).
/// </summary>
internal readonly record struct WeightsKey(nint Gate, nint Up, nint Down, TileType Type, long Changes, ulong Sample)
{
    /// <summary>The key of some experts' matrices now; null where libtorch counts no changes: of tensors made in inference mode.</summary>
    public static unsafe WeightsKey? Of(FusedInputs inputs, ExpertMatrices matrices, int experts, TileType type)
    {
        return ChangeCount.Of(inputs.Gate, inputs.Up, inputs.Down) is { } count
            ? new((nint)matrices.Gate(0), (nint)matrices.UpOf(0), (nint)matrices.DownOf(0), type, count, SampleOf(matrices, experts))
            : null;
    }

    // one value of every matrix
    private static unsafe ulong SampleOf(ExpertMatrices matrices, int experts)
    {
        long size = (long)matrices.Shape.Hidden * matrices.Shape.Intermediate;
        ulong sample = 0;
        for (int expert = 0; expert < experts; expert++)
        {
            long at = (long)((uint)expert * 2_654_435_761u % (ulong)size);
            sample = (sample * 31 + Value(matrices.Gate(expert), at)) * 31 + Value(matrices.UpOf(expert), at);
            sample = sample * 31 + Value(matrices.DownOf(expert), at);
        }

        return sample;

        ulong Value(float* matrix, long index) => matrices.Type == TileType.Float32 ? Unsafe.As<float, uint>(ref matrix[index]) : ((ushort*)matrix)[index];
    }
}
