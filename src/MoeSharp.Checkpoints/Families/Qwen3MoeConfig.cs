namespace MoeSharp.Checkpoints;

/// <summary>
/// The <c>config.json</c> of Qwen3-MoE models (<c>model_type: qwen3_moe</c>): what transformers 4 and 5 and the published checkpoints
/// write. Two keys are our own: <c>moesharp_correction_bias</c>, true when the routers carry the bias of loss-free balancing, and
/// <c>moesharp_layer</c>, the MoE layer in full where the family's keys cannot say how it routes. Such a model has a <c>model_type</c> of
/// its own, so that no other program runs it wrongly.
/// </summary>
public static class Qwen3MoeConfig
{
    /// <summary>The family's name in <c>config.json</c>.</summary>
    public const string ModelType = "qwen3_moe";

    /// <summary>The name of the same architecture with another routing, which only MoeSharp runs.</summary>
    public const string ExtendedModelType = "moesharp_qwen3_moe";

    internal const string LayerKey = "moesharp_layer";

    /// <summary>Reads a config and does without its warnings.</summary>
    /// <inheritdoc cref="Read(string, out IReadOnlyList{string})"/>
    public static DecoderOptions Read(string configFile) => Read(configFile, out _);

    /// <summary>
    /// Reads a config. Keys that are absent have the defaults of transformers' <c>Qwen3MoeConfig</c>; keys that cannot change what the
    /// model computes are passed over.
    /// </summary>
    /// <param name="configFile">The path of the <c>config.json</c>.</param>
    /// <param name="warnings">What is odd but harmless, a sentence each.</param>
    /// <exception cref="CheckpointException">
    /// The file cannot be read, is of another family, has values of a wrong type or size, contradicts itself, or asks for something that
    /// changes the computation and is not supported; one message lists everything.
    /// </exception>
    public static DecoderOptions Read(string configFile, out IReadOnlyList<string> warnings)
    {
        ArgumentException.ThrowIfNullOrEmpty(configFile);

        var options = ConfigReader.Read(configFile, Qwen3MoeReader.Read, out warnings);
        try
        {
            options.Validate();
        }
        catch (ArgumentException e)
        {
            throw new CheckpointException(configFile, e.Message, e);
        }

        return options;
    }

    /// <summary>
    /// The text of a config that <see cref="Read(string)"/> gives back unchanged and that transformers 4 and 5 load: keys in
    /// alphabetical order, weights announced as float32. The same options give the same text. <see cref="MoeOptions.Backend"/> is not part of it.
    /// </summary>
    /// <exception cref="ArgumentException">The options are not valid, or this family cannot express them; one message lists all faults.</exception>
    public static string Write(DecoderOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);

        options.Validate();
        return Qwen3MoeWriter.Write(options);
    }
}
