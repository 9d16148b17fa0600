using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace MoeSharp.Checkpoints;

/// <summary>
/// That a converted checkpoint is its source: the target is opened anew, every parameter of its MoE layers is compared as it is meant and every
/// other tensor as it lies, bit by bit after the rounding that its type names, and random tokens run through the layers of both.
/// </summary>
/// <param name="Version">1.</param>
/// <param name="Source">The source.</param>
/// <param name="Target">The target.</param>
/// <param name="Passed">Whether all of it holds.</param>
/// <param name="Tensors">What was compared, by kind and types.</param>
/// <param name="Layers">The outputs of the layers.</param>
/// <param name="Faults">What is missing, too much or of another shape, a sentence each; empty as a rule.</param>
public sealed record ConversionProof(int Version, string Source, string Target, bool Passed, IReadOnlyList<ProofRow> Tensors, IReadOnlyList<ProofLayer> Layers, IReadOnlyList<string> Faults)
{
    /// <summary>The name of the file beside the target's weights.</summary>
    public const string FileName = "conversion-proof.json";

    /// <summary>Compares a target with its source.</summary>
    /// <param name="source">What was converted.</param>
    /// <param name="target">The folder that it was converted to: a whole model, or some layers of it.</param>
    /// <param name="progress">Hears how many of the target's bytes were compared.</param>
    /// <param name="cancellationToken">Stops the comparison.</param>
    /// <exception cref="CheckpointException">The target cannot be opened; the message lists all that is wrong.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static ConversionProof Run(MoeCheckpoint source, string target, IProgress<ConversionProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentException.ThrowIfNullOrEmpty(target);

        using var converted = MoeCheckpoint.Open(target);
        using var run = new ProofRun(source, converted, progress, cancellationToken);
        return run.Run();
    }

    /// <summary>Writes the proof as JSON beside the target's weights.</summary>
    /// <returns>The path of the file.</returns>
    /// <exception cref="IOException">The disk is full.</exception>
    public string Write()
    {
        string path = Path.Combine(Target, FileName);
        AtomicFile.WriteAllText(path, JsonSerializer.Serialize(this, ProofJson.Readable.ConversionProof) + "\n");
        return path;
    }
}

/// <summary>Tensors of one kind and the same types, compared.</summary>
/// <param name="Kind">What they are: gate, up, down (of experts), biases, router, shared expert, other.</param>
/// <param name="From">How the source stores them, such as <c>BF16</c>.</param>
/// <param name="To">How the target does.</param>
/// <param name="Count">How many matrices, vectors or tensors there are.</param>
/// <param name="Compared">How many numbers of them were compared: all; of tensors compared by their bytes, the bytes.</param>
/// <param name="Different">How many of those are not what they must be.</param>
/// <param name="MaxDifference">The largest absolute difference of two numbers.</param>
/// <param name="Limit">What is allowed, in words: the same bits, or one rounding.</param>
public sealed record ProofRow(string Kind, string From, string To, long Count, long Compared, long Different, double MaxDifference, string Limit)
{
    /// <summary>Whether none is different.</summary>
    public bool Passed => Different == 0;
}

/// <summary>What a layer of both makes of the same random tokens.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Tokens">How many tokens.</param>
/// <param name="OtherExperts">How many of them the target's router sends to other experts: rounding may. Outputs are those of the source's experts.</param>
/// <param name="Difference">The largest difference of two outputs, over the largest output of the source.</param>
/// <param name="Limit">What is allowed: 0 where no type changed.</param>
public sealed record ProofLayer(int Layer, int Tokens, int OtherExperts, double Difference, double Limit)
{
    /// <summary>Whether the difference is within its limit.</summary>
    public bool Passed => Difference <= Limit && (Limit > 0 || OtherExperts == 0);
}

/// <summary>The JSON of a proof.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, NewLine = "\n", NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
[JsonSerializable(typeof(ConversionProof))]
internal sealed partial class ProofJson : JsonSerializerContext
{
    public static ProofJson Readable => field ??= new(new(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
