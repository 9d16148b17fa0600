namespace MoeSharp.Checkpoints.Tests;

/// <summary>Holds layers of a checkpoint against what was written.</summary>
internal static class StoredAssert
{
    public static void Equal(WrittenCheckpoint written, StoredMoeLayer layer)
    {
        for (int expert = 0; expert < layer.Options.Router.ExpertCount; expert++) Equal(written, layer.Index, expert, layer.Expert(expert));
        if (layer.Shared is { } shared) Equal(written, layer.Index, -1, shared);
    }

    private static void Equal(WrittenCheckpoint written, int layer, int expert, StoredMlp mlp)
    {
        foreach (var (role, matrix, bias) in ((WeightRole, WeightMatrix, IReadOnlyList<float>?)[])[(WeightRole.Gate, mlp.Gate, mlp.Biases?.Gate), (WeightRole.Up, mlp.Up, mlp.Biases?.Up), (WeightRole.Down, mlp.Down, mlp.Biases?.Down)])
        {
            float[] values = Decoded(matrix, 0);
            Assert.Equal(written.Weights[(layer, expert, role)], values);
            Assert.Equal(values[matrix.Columns..], Decoded(matrix, 1));
            Assert.Equal(values[^1], matrix.Value(matrix.Rows - 1, matrix.Columns - 1));
            if (bias is not null) Assert.Equal(written.Biases[(layer, expert, role)], bias);
        }
    }

    private static float[] Decoded(WeightMatrix matrix, int firstRow)
    {
        var values = new float[(matrix.Rows - firstRow) * matrix.Columns];
        matrix.Decode(firstRow, matrix.Rows - firstRow, values);
        return values;
    }
}
