using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using MoeSharp.Checkpoints;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>The JSON that the tool prints: snake_case, one line, with a version at the root.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    Converters =
    [
        typeof(WordEnum<BalanceMode>), typeof(WordEnum<ComputePrecision>), typeof(WordEnum<ExpertBackend>), typeof(WordEnum<Recompute>), typeof(WordEnum<MomentPrecision>), typeof(WordEnum<RouterSelection>), typeof(WordEnum<ScoreFunction>),
        typeof(WordEnum<CapacityScope>), typeof(WordEnum<DropRule>), typeof(WordEnum<CapacityOrder>), typeof(WordEnum<BalanceScope>),
        typeof(WordEnum<BalanceScores>), typeof(WordEnum<BiasRule>),
        typeof(WordEnum<TensorKind>), typeof(TensorTypeWord),
    ])]
[JsonSerializable(typeof(PresetList))]
[JsonSerializable(typeof(Preparing))]
[JsonSerializable(typeof(TrainingStarted))]
[JsonSerializable(typeof(StepCompleted))]
[JsonSerializable(typeof(CheckpointWritten))]
[JsonSerializable(typeof(TrainingNotice))]
[JsonSerializable(typeof(TrainingFinished))]
[JsonSerializable(typeof(TrainingStopped))]
[JsonSerializable(typeof(GeneratedText))]
[JsonSerializable(typeof(VerifyResults))]
[JsonSerializable(typeof(RouterBenchmarkReport))]
[JsonSerializable(typeof(LayerBenchmarkReport))]
[JsonSerializable(typeof(DecoderBenchmarkReport))]
[JsonSerializable(typeof(StepBenchmarkReport))]
[JsonSerializable(typeof(TraceListing))]
[JsonSerializable(typeof(TraceSummary))]
[JsonSerializable(typeof(TraceDiff))]
[JsonSerializable(typeof(ExportedCase))]
[JsonSerializable(typeof(TokenIds))]
[JsonSerializable(typeof(DecodedText))]
[JsonSerializable(typeof(TrainedTokenizer))]
[JsonSerializable(typeof(KernelListing))]
[JsonSerializable(typeof(InspectedModel))]
[JsonSerializable(typeof(InspectedLayer))]
[JsonSerializable(typeof(InspectedFile))]
[JsonSerializable(typeof(TensorListing))]
[JsonSerializable(typeof(ConversionReport))]
internal sealed partial class CliJsonContext : JsonSerializerContext
{
    /// <summary>As the default, but with quotes and letters of all languages readable: the output is JSON, never HTML.</summary>
    public static CliJsonContext Readable => field ??= new(new(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}

/// <summary>Types of tensors by their names in files, such as <c>F8_E4M3</c>.</summary>
internal sealed class TensorTypeWord : JsonConverter<TensorType>
{
    public override TensorType Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        TensorTypes.TryParse(reader.GetString() ?? "", out var type) ? type : throw new JsonException("There is no such type of tensors.");

    public override void Write(Utf8JsonWriter writer, TensorType value, JsonSerializerOptions options) => writer.WriteStringValue(value.FileName());
}
