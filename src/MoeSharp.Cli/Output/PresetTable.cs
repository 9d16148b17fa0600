using System.Text.Json;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>The presets with their shapes and sizes.</summary>
internal static class PresetTable
{
    public static void Write(Surroundings surroundings, bool isJson)
    {
        if (isJson) surroundings.Output.WriteLine(JsonSerializer.Serialize(ToJson(), CliJsonContext.Default.PresetList));
        else WriteTable(surroundings);
    }

    private static void WriteTable(Surroundings surroundings)
    {
        var table = new TableWriter("preset", "layers", "hidden", "experts", "top-k", "expert size", "vocabulary", "parameters", "active", "memory to train")
        {
            Numbers = new HashSet<string> { "layers", "hidden", "experts", "top-k", "expert size", "vocabulary", "parameters", "active", "memory to train" },
        };
        foreach (var (name, options) in TrainingPresets.All)
        {
            var (shape, size) = (options.Model, ModelSize.Of(options.Model, options.VocabularySize));
            table.Add(
            [
                name, $"{shape.LayerCount}", $"{shape.HiddenSize}", $"{shape.ExpertCount}", $"{shape.TopK}", $"{shape.ExpertSize}", $"{options.VocabularySize}",
                Quantity.Short(size.Parameters), Quantity.Short(size.ActiveParameters), Quantity.Bytes(size.TrainingBytes),
            ]);
        }

        table.Write(surroundings);
        surroundings.Output.WriteLine("Memory is for weights, gradients and Adam's moments in float32; activations come on top.");
    }

    private static PresetList ToJson() => new(1, [.. TrainingPresets.All.Select(preset =>
    {
        var size = ModelSize.Of(preset.Value.Model, preset.Value.VocabularySize);
        return new PresetRow(preset.Key, size.Parameters, size.ActiveParameters, size.TrainingBytes, preset.Value);
    })]);
}

/// <summary>The JSON of <c>--list-presets</c>.</summary>
internal sealed record PresetList(int Version, IReadOnlyList<PresetRow> Presets);

/// <summary>One preset: its sizes and everything it sets.</summary>
internal sealed record PresetRow(string Name, long Parameters, long ActiveParameters, long TrainingMemoryBytes, TrainingOptions Options);
