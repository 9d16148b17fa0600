using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// The rotary positions of a <c>config.json</c>, in both styles: <c>rope_theta</c> with an optional <c>rope_scaling</c> (transformers 4),
/// or <c>rope_parameters</c> (transformers 5). Only the plain form is supported; the others change the angles.
/// </summary>
internal static class RopeConfig
{
    private const double AbsentTheta = 10_000; // what transformers takes when no key says it

    /// <summary>The base of the frequencies; faults are noted in <paramref name="json"/>.</summary>
    public static double ReadTheta(ConfigReader json)
    {
        double? outer = json.Find("rope_theta") is null ? null : json.Number("rope_theta", AbsentTheta, 0, isExclusive: true);
        double? nested = null;
        RejectPartialRotation(json);

        foreach (string key in (ReadOnlySpan<string>)["rope_scaling", "rope_parameters"])
        {
            if (json.Object(key) is { } parameters) nested = ReadPlainParameters(parameters) ?? nested;
        }

        json.Fault(outer is not null && nested is not null && outer != nested,
            FormattableString.Invariant($"rope_theta is {outer} but rope_parameters.rope_theta is {nested}; they must agree."));
        return nested ?? outer ?? AbsentTheta;
    }

    private static double? ReadPlainParameters(ConfigReader parameters)
    {
        foreach (string key in (ReadOnlySpan<string>)["rope_type", "type"])
        {
            parameters.Unsupported(parameters.Text(key, "default") != "default", key, "\"default\"");
        }

        RejectPartialRotation(parameters);
        parameters.RejectOthers("rope_type", "type", "rope_theta", "partial_rotary_factor");
        return parameters.Find("rope_theta") is null ? null : parameters.Number("rope_theta", AbsentTheta, 0, isExclusive: true);
    }

    private static void RejectPartialRotation(ConfigReader json)
    {
        const string Key = "partial_rotary_factor";

        json.Unsupported(json.Find(Key) is { } factor && !(factor.ValueKind == JsonValueKind.Number && factor.GetDouble() == 1), Key, "1");
    }
}
