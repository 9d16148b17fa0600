using System.Globalization;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>Resolves what a run computes and where it writes; every fault of the user's is a <see cref="UsageException"/>.</summary>
internal static class TrainingConfiguration
{
    public static TrainingOptions Preset(string name) => TrainingPresets.All.TryGetValue(name, out var preset)
        ? preset
        : throw new UsageException($"Unknown preset '{name}'.{(ClosestName.Hint(name, TrainingPresets.All.Keys) is { Length: > 0 } hint ? hint : $" Presets: {string.Join(", ", TrainingPresets.All.Keys)}.")}");

    /// <summary>The options with the values of a JSON file in place of theirs.</summary>
    public static TrainingOptions Overlay(TrainingOptions options, string file)
    {
        if (!File.Exists(file)) throw new UsageException($"--config: there is no file '{file}'.");

        try
        {
            return TrainingOptionsJson.Overlay(options, File.ReadAllText(file), file);
        }
        catch (MoeException error)
        {
            throw new UsageException(error.Message, error);
        }
    }

    public static TrainingOptions Checked(TrainingOptions options)
    {
        try
        {
            options.Validate();
            return options;
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message, error);
        }
    }

    /// <summary>Fails when the weights and the optimiser alone are larger than the memory that this process may use.</summary>
    /// <exception cref="MoeException">They are.</exception>
    public static void RequireMemory(TrainingOptions options, long availableBytes)
    {
        var size = ModelSize.Of(options.Model, options.VocabularySize);
        if (size.TrainingBytes <= availableBytes) return;

        throw new MoeException(
            $"Training this model takes {Quantity.Bytes(size.TrainingBytes)} for weights, gradients and optimiser alone ({Quantity.Short(size.Parameters)} parameters), " +
            $"but this machine offers {Quantity.Bytes(availableBytes)}. Choose a smaller preset or fewer --layers, --experts or a smaller --hidden-size.");
    }

    /// <summary>runs/default, or runs/default-2, … : the first that does not exist.</summary>
    public static string FreeFolder(string root, string name) => Enumerable.Range(1, int.MaxValue - 1)
        .Select(number => Path.Combine(root, number == 1 ? name : string.Create(CultureInfo.InvariantCulture, $"{name}-{number}")))
        .First(folder => !Path.Exists(folder));
}
