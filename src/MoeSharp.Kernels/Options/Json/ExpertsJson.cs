using System.Text.Json;

namespace MoeSharp;

/// <summary>The fields of "experts" and "shared".</summary>
internal static class ExpertsJson
{
    public static ExpertOptions Read(ObjectReader experts, int intermediateSize) => new()
    {
        IntermediateSize = intermediateSize,
        Activation = experts.Word("activation", OptionWords.Activation),
        HasBias = experts.Flag("bias"),
        Limit = experts.NumberOrNull("limit"),
    };

    public static SharedExpertOptions ReadShared(ObjectReader shared) => new()
    {
        IntermediateSize = shared.Integer("size"),
        IsGated = shared.Flag("gated"),
        Limit = shared.NumberOrNull("limit"),
    };

    public static void Write(Utf8JsonWriter json, ExpertOptions options)
    {
        json.WriteWord("activation", OptionWords.Activation, options.Activation);
        json.WriteFlag("bias", options.HasBias);
        json.WriteGiven("limit", options.Limit);
    }

    public static void WriteShared(Utf8JsonWriter json, SharedExpertOptions options)
    {
        json.WriteNumber("size", options.IntermediateSize);
        json.WriteFlag("gated", options.IsGated);
        json.WriteGiven("limit", options.Limit);
    }
}
