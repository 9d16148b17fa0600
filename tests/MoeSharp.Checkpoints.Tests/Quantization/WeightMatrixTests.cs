namespace MoeSharp.Checkpoints.Tests;

/// <summary>Every format with random codes and awkward shapes: decoded at once, it is what the formula says weight by weight.</summary>
public sealed class WeightMatrixTests
{
    public static TheoryData<string> Samples => [.. TensorSample.All.Select(sample => sample.Name)];

    [Theory, MemberData(nameof(Samples))]
    public void WeightMatrix_AllRows_AreTheFormulaOfEachWeight(string sample)
    {
        foreach (var matrix in TensorSample.Of(sample).Read().Matrices)
        {
            float[] weights = new float[matrix.Rows * matrix.Columns];
            matrix.Decode(0, matrix.Rows, weights);

            for (int row = 0; row < matrix.Rows; row++)
            {
                for (int column = 0; column < matrix.Columns; column++) BitAssert.Equal(matrix.Value(row, column), weights[row * matrix.Columns + column]);
            }
        }
    }

    [Theory, MemberData(nameof(Samples))]
    public void WeightMatrix_AnyRowsAtOnce_HaveTheSameBits(string sample)
    {
        var matrix = TensorSample.Of(sample).Read().Matrices[^1];
        float[] whole = new float[matrix.Rows * matrix.Columns];
        matrix.Decode(0, matrix.Rows, whole);

        var random = new Random(7);
        for (int row = 0, count; row < matrix.Rows; row += count)
        {
            count = Math.Min(random.Next(1, 23), matrix.Rows - row);
            float[] part = new float[count * matrix.Columns];
            matrix.Decode(row, count, part);

            BitAssert.Equal(whole.AsSpan(row * matrix.Columns, part.Length), part);
        }
    }

    [Theory, MemberData(nameof(Samples))]
    public void WeightMatrix_BFloat16_IsTheFloatRoundedToNearestEven(string sample)
    {
        var matrix = TensorSample.Of(sample).Read().Matrices[0];
        float[] floats = new float[matrix.Rows * matrix.Columns];
        ushort[] halves = new ushort[floats.Length];

        matrix.Decode(0, matrix.Rows, floats);
        matrix.Decode(0, matrix.Rows, halves);

        for (int i = 0; i < floats.Length; i++) BitAssert.Equal(Nearest(floats[i]), BitConverter.Int32BitsToSingle(halves[i] << 16));
    }

    [Fact]
    public void WeightMatrix_RowsThatAreNotThere_AreRefused()
    {
        var matrix = TensorSample.Of("int8 channels").Read().Matrices[0];

        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.Decode(-1, 1, new float[77]));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.Decode(18, 2, new float[154]));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.Decode(0, 2, new float[153]));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.Decode(0, int.MaxValue, new float[77]));
        matrix.Decode(19, 0, Span<float>.Empty);
    }

    private static float Nearest(float value)
    {
        if (!float.IsFinite(value)) return value;

        float down = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(value) & unchecked((int)0xffff0000));
        float up = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(down) + 0x10000);     // away from zero
        double below = Math.Abs((double)value - down), above = Math.Abs((double)up - value);
        if (float.IsInfinity(up)) above = Math.Abs(Math.CopySign(Math.ScaleB(1, 128), value) - value);
        bool isDownEven = (BitConverter.SingleToInt32Bits(down) & 0x10000) == 0;
        return below < above || (below == above && isDownEven) ? down : up;
    }
}
