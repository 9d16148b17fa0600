using System.Text.Json;
using System.Text.Json.Serialization;

namespace MoeSharp.Training;

/// <summary>The JSON of options and of run.json: snake_case, strict, enums as lower-case words.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true,
    AllowDuplicateProperties = false,
    WriteIndented = true,
    Converters = [
        typeof(WordEnum<BalanceMode>), typeof(WordEnum<ComputePrecision>), typeof(WordEnum<ExpertBackend>), typeof(WordEnum<MomentPrecision>), typeof(WordEnum<Recompute>), typeof(WordEnum<RouterSelection>), typeof(WordEnum<ScoreFunction>),
        typeof(WordEnum<CapacityScope>), typeof(WordEnum<DropRule>), typeof(WordEnum<CapacityOrder>), typeof(WordEnum<BalanceScope>),
        typeof(WordEnum<BalanceScores>), typeof(WordEnum<BiasRule>),
    ])]
[JsonSerializable(typeof(TrainingOptions))]
[JsonSerializable(typeof(RunFile))]
internal sealed partial class TrainingJsonContext : JsonSerializerContext;

/// <summary>Enums as <see cref="ChoiceWord"/> spells them; numbers are not accepted.</summary>
internal sealed class WordEnum<TEnum>() : JsonStringEnumConverter<TEnum>(new Words(), allowIntegerValues: false)
    where TEnum : struct, Enum
{
    private sealed class Words : JsonNamingPolicy
    {
        public override string ConvertName(string name) => ChoiceWord.Of(name);
    }
}
