namespace MoeSharp.Checkpoints;

/// <summary>The <c>config.json</c> of a model of any family that is known.</summary>
public static class ModelConfig
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "config.json";

    /// <summary>The key of a folder that holds some MoE layers alone.</summary>
    internal const string HeldLayersKey = "moesharp_layers";

    /// <summary>Its name where Mistral and Meta publish their own layouts.</summary>
    public const string NativeFileName = "params.json";

    // where wrappers of several modalities keep their language model
    private static readonly string[][] Nested = [["text_config"], ["thinker_config", "text_config"], ["language_config"], ["llm_config"]];

    /// <summary>The families that are known, by the <c>model_type</c> of their configs.</summary>
    public static IReadOnlyList<string> Families { get; } = [.. ModelFamilies.All.Select(family => family.Name)];

    /// <summary>Reads a config: keys of published files and those that transformers 4 and 5 write.</summary>
    /// <param name="configFile">The path of the <c>config.json</c>.</param>
    /// <param name="warnings">What is odd but harmless, a sentence each.</param>
    /// <exception cref="CheckpointException">
    /// The file cannot be read, is of no known family, has values of a wrong type or size, contradicts itself, or asks for something that changes
    /// what MoE layers compute and is not supported; one message lists everything.
    /// </exception>
    public static ModelDescription Read(string configFile, out IReadOnlyList<string> warnings)
    {
        ArgumentException.ThrowIfNullOrEmpty(configFile);

        var (model, _) = ReadWithFamily(configFile, out warnings);
        return model;
    }

    internal static (ModelDescription Model, ModelFamily Family) ReadWithFamily(string configFile, out IReadOnlyList<string> warnings)
    {
        var (model, family) = Path.GetFileName(configFile) == NativeFileName
            ? ConfigReader.Read(configFile, NativeConfig.ToPublished(configFile), "config", Read, out warnings)
            : ConfigReader.Read(configFile, Read, out warnings);
        if (model is null || family is null) throw new CheckpointException(configFile, "The config is of no known family.");        // faults were thrown before

        Validate(configFile, model);
        return (model, family);
    }

    /// <summary>Checks the options of all MoE layers.</summary>
    internal static void Validate(string file, ModelDescription model)
    {
        var faults = new OptionFaults("The MoE layers");
        foreach (var layer in model.Layers.Distinct()) layer.CollectFaults(faults, model.HiddenSize);
        try
        {
            faults.ThrowIfAny();
        }
        catch (ArgumentException e)
        {
            throw new CheckpointException(file, e.Message, e);
        }
    }

    private static (ModelDescription? Model, ModelFamily? Family) Read(ConfigReader json)
    {
        var language = Nested.Select(path => path.Aggregate((ConfigReader?)json, (at, key) => at?.Object(key))).OfType<ConfigReader>().FirstOrDefault() ?? json;
        if (FamilyOf(language, json) is not { } family) return (null, null);

        json.Warn(json.Find("auto_map") is not null, $"auto_map asks for code of its own, which is never run; the model is read as an ordinary {family.Name}.");
        var quantization = json.Object("quantization_config") ?? language.Object("quantization_config");
        var model = family.Describe(new FamilyConfig(language)) with
        {
            Family = family.Name,
            Quantization = quantization is null ? null : QuantizationConfigReader.Read(quantization),
        };
        return (model with { TieEmbeddings = model.TieEmbeddings || json.Flag("tie_word_embeddings", false), HeldLayers = HeldLayers(json, model) }, family);
    }

    private static IReadOnlyList<int>? HeldLayers(ConfigReader json, ModelDescription model)
    {
        if (json.Find(HeldLayersKey) is null) return null;

        var layers = json.Integers(HeldLayersKey);
        int[] sparse = [.. model.MoeLayers];
        json.Fault(layers.Count == 0 || layers.Except(sparse).Any(), $"{HeldLayersKey} is [{string.Join(", ", layers)}]; expected one or more MoE layers of the model.");
        return layers;
    }

    /// <summary>The config of a folder: the published one, or the maker's own.</summary>
    internal static string FileIn(string folder)
    {
        string published = Path.Combine(folder, FileName), native = Path.Combine(folder, NativeFileName);
        return !File.Exists(published) && File.Exists(native) ? native : published;
    }

    private static ModelFamily? FamilyOf(ConfigReader language, ConfigReader outer)
    {
        if (outer.Find("model_type") is null && outer.Find("experts_per_token") is not null) return ModelFamilies.GptOss;     // OpenAI's own files do not name it

        ConfigReader[] named = [.. ((ConfigReader[])[language, outer]).Distinct().Where(json => json.Find("model_type") is not null)];
        outer.Fault(named.Length == 0, $"model_type is absent; expected one of {string.Join(", ", Families)}.");
        var known = named.Select(json => ModelFamilies.Find(json.Text("model_type", ""))).FirstOrDefault(family => family is not null);
        if (known is null && named.Length > 0) named[0].Unsupported(true, "model_type", $"one of {string.Join(", ", Families)}");
        return known;
    }
}
