using System.Text.Json;

namespace MoeSharp.Training;

/// <summary>What decided a run: the content of <c>run.json</c>, enough to repeat the run or to resume it.</summary>
public sealed record RunFile
{
    /// <summary>The file's name in the folder of a run.</summary>
    public const string FileName = "run.json";

    /// <summary>The resolved options.</summary>
    public required TrainingOptions Options { get; init; }

    /// <summary>The paths of the text; empty for the documentation of the SDK.</summary>
    public IReadOnlyList<string> Data { get; init; } = [];

    /// <summary>The tokenizer that was given; null when it was trained on the text.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>The threads of libtorch; the same bits need the same number.</summary>
    public required int Threads { get; init; }

    /// <summary>What ran: names of components and their versions.</summary>
    public IReadOnlyDictionary<string, string> Versions { get; init; } = new Dictionary<string, string>();

    /// <summary>The file's text.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, TrainingJsonContext.Default.RunFile);

    /// <summary>Reads the <c>run.json</c> of a run's folder.</summary>
    /// <exception cref="MoeException">There is none, or it is not one of ours.</exception>
    public static RunFile Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) throw new MoeException($"{path} does not exist: '{folder}' is not the folder of a training run. Give the folder that 'train' wrote.");

        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), TrainingJsonContext.Default.RunFile) ?? throw new MoeException($"{path}: expected a JSON object, got null.");
        }
        catch (JsonException error)
        {
            throw new MoeException($"{path}: not a run.json of MoeSharp: {error.Message}", error);
        }
    }
}
