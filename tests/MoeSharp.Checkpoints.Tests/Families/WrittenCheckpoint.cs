using System.Globalization;
using System.Runtime.InteropServices;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>A checkpoint of random weights, written by a layout in the slow and obvious way, and what was written.</summary>
internal sealed class WrittenCheckpoint(ModelDescription model, LayerPlace place, IReadOnlyList<StoredWeight> experts, IReadOnlyList<StoredWeight>? shared)
{
    private readonly Random _random = new(7);

    public Dictionary<string, (long[] Shape, float[] Values)> Tensors { get; } = [];

    /// <summary>The tables of token ids.</summary>
    public Dictionary<string, (long[] Shape, long[] Values)> Tables { get; } = [];

    /// <summary>The weights of expert e of layer l, and at -1 of the shared expert: gate and up [H, D], down [D, H].</summary>
    public Dictionary<(int Layer, int Expert, WeightRole Role), float[]> Weights { get; } = [];

    /// <summary>The biases likewise.</summary>
    public Dictionary<(int Layer, int Expert, WeightRole Role), float[]> Biases { get; } = [];

    public void Fill()
    {
        foreach (int layer in model.MoeLayers) Fill(layer, ((MlpOptions.Sparse)model.Layers[layer]).Moe);
    }

    public void Write(TemporaryFolder folder, string config, string configFile = ModelConfig.FileName, string weightsFile = ModelFolder.SingleFileName)
    {
        File.WriteAllText(folder.File(configFile), config);
        TensorToWrite[] floats = [.. Tensors.Select(entry => new TensorToWrite(entry.Key, TensorType.F32, entry.Value.Shape, stream => stream.Write(MemoryMarshal.AsBytes(entry.Value.Values.AsSpan()))))];
        TensorToWrite[] integers = [.. Tables.Select(entry => new TensorToWrite(entry.Key, TensorType.I64, entry.Value.Shape, stream => stream.Write(MemoryMarshal.AsBytes(entry.Value.Values.AsSpan()))))];
        SafetensorsWriter.Write(folder.File(weightsFile), [.. floats, .. integers]);
    }

    private void Fill(int layer, MoeOptions options)
    {
        var (E, D, layout, prefix) = (options.Router.ExpertCount, options.HiddenSize, place.Layout, place.PrefixOf(layer));
        Tensors[$"{prefix}{layout.Router}.weight"] = Random(layout.IsRouterTransposed ? [D, E] : [E, D]);
        if (options.Router.HasLogitBias) Tensors[prefix + layout.LogitBias] = Random([E]);
        if (options.Router.HasCorrectionBias) Tensors[prefix + layout.CorrectionBias] = Random([E]);
        if (options.Router.HasPerExpertScale) Tensors[prefix + layout.PerExpertScale] = Random([E]);
        if (options.Router.InputNorm is not null) Tensors[prefix + layout.InputScale] = Random([D]);
        if (options.Router.Select is Selection.TokenTable table) Tables[prefix + layout.TokenTable] = ([table.VocabularySize, options.Router.TopK], [.. Enumerable.Range(0, table.VocabularySize * options.Router.TopK).Select(i => (long)(i % E))]);
        if (options.Shared is { IsGated: true }) Tensors[$"{prefix}{layout.SharedRouter}.weight"] = Random([1, D]);

        foreach (var stored in experts) Fill(layer, stored, Enumerable.Range(0, E), options.Experts.IntermediateSize, D, options.Experts.HasBias);
        if (options.Shared is { } sharedOptions) foreach (var stored in shared!) Fill(layer, stored, [-1], sharedOptions.IntermediateSize, D, hasBias: false);
    }

    private void Fill(int layer, StoredWeight stored, IEnumerable<int> indices, int width, int hiddenSize, bool hasBias)
    {
        var parts = new List<float[]>();
        var biases = new List<float[]>();
        long[] shape = [], biasShape = [];
        foreach (int expert in indices)
        {
            int rows = stored.Roles[0] == WeightRole.Down ? hiddenSize : width, columns = stored.Roles[0] == WeightRole.Down ? width : hiddenSize;
            foreach (var role in stored.Roles)
            {
                Weights[(layer, expert, role)] = Random([rows, columns]).Values;
                if (hasBias) Biases[(layer, expert, role)] = Random([rows]).Values;
            }

            float[] matrix = [.. Rows(stored, role => Weights[(layer, expert, role)].Chunk(columns))];
            if (stored.IsTransposed) matrix = Transposed(matrix, rows * stored.Roles.Length, columns);
            shape = stored.IsTransposed ? [columns, rows * stored.Roles.Length] : [rows * stored.Roles.Length, columns];
            parts.Add(matrix);
            if (hasBias) biases.Add([.. Rows(stored, role => Biases[(layer, expert, role)].Chunk(1))]);
            biasShape = [rows * stored.Roles.Length];
            if (!stored.IsPerExpert) continue;

            Tensors[NameOf(layer, stored.Name + stored.Suffix, expert)] = (shape, matrix);
        }

        if (stored.IsPerExpert) return;

        long count = parts.Count;
        Tensors[NameOf(layer, stored.Name + stored.Suffix, 0)] = (stored.Axis switch { ExpertAxis.Stacked => [count, .. shape], ExpertAxis.Folded => [count * shape[0], shape[1]], _ => shape }, [.. parts.SelectMany(part => part)]);
        if (hasBias) Tensors[NameOf(layer, stored.Bias!, 0)] = ([count, .. biasShape], [.. biases.SelectMany(bias => bias)]);
    }

    private static IEnumerable<float> Rows(StoredWeight stored, Func<WeightRole, IEnumerable<float[]>> rowsOf)
    {
        var rows = stored.Roles.Select(role => rowsOf(role).ToArray()).ToArray();
        return stored.Order == RowOrder.Halves ? rows.SelectMany(of => of).SelectMany(row => row) : Enumerable.Range(0, rows[0].Length).SelectMany(i => rows.Select(of => of[i])).SelectMany(row => row);
    }

    private static float[] Transposed(float[] matrix, int rows, int columns) => [.. Enumerable.Range(0, rows * columns).Select(i => matrix[i % rows * columns + i / rows])];

    private string NameOf(int layer, string name, int expert) => place.PrefixOf(layer) + name.Replace("{e}", expert.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    private (long[] Shape, float[] Values) Random(long[] shape)
    {
        var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
        for (int i = 0; i < values.Length; i++) values[i] = _random.NextSingle() - 0.5f;
        return (shape, values);
    }
}
