using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>
/// Holds our numbers against a reference's: reads a folder with a checkpoint and <c>expected.safetensors</c>, computes what it holds, and
/// compares tensor by tensor.
/// </summary>
public static class CaseVerifier
{
    /// <summary>The file that makes a folder a case.</summary>
    public const string ExpectedFile = "expected.safetensors";

    /// <summary>Verifies one case: a model case (format 2) or a training case (format 4).</summary>
    /// <param name="folder">The case.</param>
    /// <param name="cancellationToken">Stops between computations.</param>
    /// <exception cref="MoeException">The case cannot be read or asks for something that is not supported; the message names it.</exception>
    public static VerifyReport Verify(string folder, CancellationToken cancellationToken = default)
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
        if (!expected.Metadata.TryGetValue("case", out string? text)) throw new CheckpointException(expected.Path, "The metadata has no 'case'; a case describes itself there.");
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
