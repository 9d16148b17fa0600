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
    Converters = [typeof(LowerCaseEnum<BalanceMode>), typeof(LowerCaseEnum<ComputePrecision>)])]
[JsonSerializable(typeof(TrainingOptions))]
[JsonSerializable(typeof(RunFile))]
internal sealed partial class TrainingJsonContext : JsonSerializerContext;

/// <summary>Enums as their names in lower case, so that BFloat16 is "bfloat16"; numbers are not accepted.</summary>
internal sealed class LowerCaseEnum<TEnum>() : JsonStringEnumConverter<TEnum>(new LowerCase(), allowIntegerValues: false)
    where TEnum : struct, Enum
{
    private sealed class LowerCase : JsonNamingPolicy
    {
#pragma warning disable CA1308 // the names of choices are lower case, on the command line too
        public override string ConvertName(string name) => name.ToLowerInvariant();
#pragma warning restore CA1308
    }
}
