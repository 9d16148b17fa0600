using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>
/// Holds our numbers against a reference's: reads a case, a file or a folder, computes what it holds, and compares tensor by tensor.
/// </summary>
public static class CaseVerifier
{
    /// <summary>The file that makes a folder a case.</summary>
    public const string ExpectedFile = "expected.safetensors";

    /// <summary>How the name of a file ends that is a case by itself.</summary>
    public const string CaseFileEnding = ".case.safetensors";

    /// <summary>Where the metadata of a file says what it is a case of.</summary>
    public const string MetadataKey = "case";

    /// <summary>Verifies one case: a layer or router case (format 1, a file), a tensor case (format 3, a file), a model case (format 2) or a training case (format 4, both folders).</summary>
    /// <param name="path">The case.</param>
    /// <param name="cancellationToken">Stops between computations.</param>
    /// <exception cref="MoeException">The case cannot be read or asks for something that is not supported; the message names it.</exception>
    public static VerifyReport Verify(string path, CancellationToken cancellationToken = default) =>
        File.Exists(path) ? VerifyFile(path, cancellationToken) : VerifyFolder(path, cancellationToken);

    private static VerifyReport VerifyFile(string path, CancellationToken cancellationToken)
    {
        using var file = SafetensorsFile.Open(path);
        using var about = ReadAbout(file);
        return TensorCase.IsOne(about.RootElement)
            ? TensorCase.Verify(file, about.RootElement, cancellationToken)
            : LayerCase.Verify(file, about.RootElement, cancellationToken);
    }

    private static VerifyReport VerifyFolder(string folder, CancellationToken cancellationToken)
    {
        string path = Path.Combine(folder, ExpectedFile);
        if (!File.Exists(path)) throw new CheckpointException(folder, $"There is no {ExpectedFile}; give the folder of a model case or of a training case.");

        using var expected = SafetensorsFile.Open(path);
        using var about = ReadAbout(expected);
        return KindOf(about.RootElement) == "training"
            ? TrainingCase.Verify(folder, expected, about.RootElement, cancellationToken)
            : ModelCase.Verify(folder, expected, about.RootElement, cancellationToken);
    }

    private static JsonDocument ReadAbout(SafetensorsFile expected)
    {
        if (!expected.Metadata.TryGetValue(MetadataKey, out string? text)) throw new CheckpointException(expected.Path, "The metadata has no 'case'; a case describes itself there.");
        try
        {
            var document = JsonDocument.Parse(text);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
            document.Dispose();
        }
        catch (JsonException e)
        {
            throw new CheckpointException(expected.Path, $"The metadata 'case' is not JSON: {e.Message}", e);
        }

        throw new CheckpointException(expected.Path, "The metadata 'case' is not a JSON object.");
    }

    private static string? KindOf(JsonElement about) => about.TryGetProperty("kind", out var kind) && kind.ValueKind == JsonValueKind.String ? kind.GetString() : null;
}
