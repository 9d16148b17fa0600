using System.Runtime.InteropServices;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>
/// Compares float32 values of ours, rounded to the type of theirs, with a reference's bit by bit, part by part. Not-a-numbers equal each
/// other whatever their bits.
/// </summary>
internal sealed class BitComparison(TensorType type)
{
    /// <summary>About how many values to compare at once.</summary>
    public const int BlockLength = 1 << 16;

    private double _largest, _difference;
    private bool _differs;

    /// <summary>
    /// 0 where all bits are equal; else max|ours − theirs| / max|theirs|, but never 0: zeros of two signs have different bits and no distance.
    /// </summary>
    public double Error
    {
        get
        {
            double relative = _difference / (_largest > 0 ? _largest : 1);
            return !_differs ? 0 : relative > 0 ? relative : double.Epsilon;
        }
    }

    /// <summary>Compares values that lie side by side.</summary>
    public void Add(ReadOnlySpan<float> ours, ReadOnlySpan<byte> theirs)
    {
        if (type == TensorType.F32)
        {
            var values = MemoryMarshal.Cast<byte, float>(theirs);
            for (int i = 0; i < ours.Length; i++) Add(ours[i], values[i]);
        }
        else if (type == TensorType.F16)
        {
            var values = MemoryMarshal.Cast<byte, Half>(theirs);
            for (int i = 0; i < ours.Length; i++) Add((float)(Half)ours[i], (float)values[i]);
        }
        else
        {
            var values = MemoryMarshal.Cast<byte, ushort>(theirs);
            for (int i = 0; i < ours.Length; i++) Add(Widened(BFloat16Values.Round(ours[i])), Widened(values[i]));
        }
    }

    /// <summary>Compares a row of ours with a column of a float32 matrix of theirs that has <paramref name="columns"/> columns.</summary>
    public void AddColumn(ReadOnlySpan<float> ours, TensorData theirs, int column, int columns)
    {
        for (int i = 0; i < ours.Length; i++) Add(ours.Slice(i, 1), theirs.Bytes(((long)i * columns + column) * (type.BitSize() / 8), type.BitSize() / 8));
    }

    /// <summary>Compares one value, both already in float32.</summary>
    public void Add(float ours, float theirs)
    {
        if (float.IsFinite(theirs)) _largest = Math.Max(_largest, Math.Abs(theirs));
        if (BitConverter.SingleToInt32Bits(ours) == BitConverter.SingleToInt32Bits(theirs) || (float.IsNaN(ours) && float.IsNaN(theirs))) return;

        double distance = Math.Abs((double)ours - theirs);
        _difference = Math.Max(_difference, double.IsNaN(distance) ? double.PositiveInfinity : distance);
        _differs = true;
    }

    private static float Widened(ushort bits) => BitConverter.Int32BitsToSingle(bits << 16);
}
