using System.Text.Json.Nodes;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class ModelFamilyTests
{
    private static readonly string[] Golden =
        ["deepseek_v3", "deepseek_v3_fp8", "deepseek_v4", "gemma4", "gpt_oss", "gpt_oss_mxfp4", "gpt_oss_published", "granitemoe", "kimi_k2_int4_g32", "llama4", "minimax_m2_published", "mixtral", "olmoe", "phimoe", "qwen3_moe_gptq_int4_g32", "qwen3_next"];

    public static TheoryData<FamilyCase> Families => [.. FamilyCases.All];

    public static TheoryData<FamilyCase, int, int, int> Ways => [.. FamilyCases.All.SelectMany(Combinations)];

    public static TheoryData<string> GoldenFolders => [.. Golden];

    [Fact]
    public void All_EveryFamily_HasACase() =>
        Assert.Equal(ModelConfig.Families.Except([Qwen3MoeConfig.ExtendedModelType]), FamilyCases.All.Select(each => ModelFamilies.Find(each.Family)!.Name).Distinct().Order(StringComparer.Ordinal));

    [Theory, MemberData(nameof(Families))]
    public void Read_TheConfigOfAFamily_GivesItsLayers(FamilyCase each)
    {
        var model = Read(each.Json, out var warnings);

        Assert.Empty(warnings);
        Assert.Equal(each.MoeLayers, model.MoeLayers);
        Assert.Equal(MoeOptionsJson.Read(each.FullOptions, each.Family), ((MlpOptions.Sparse)model.Layers[each.MoeLayers[^1]]).Moe);
        Assert.Equal((FamilyCase.HiddenSize, FamilyCase.Vocabulary, FamilyCase.LayerCount, 2), (model.HiddenSize, model.VocabularySize, model.Layers.Count, model.Attention.HeadCount));
    }

    [Theory, MemberData(nameof(Families))]
    public void Read_AnOptionThatChangesTheMathematics_IsNamed(FamilyCase each)
    {
        string key = each.Family is "dbrx" or "gemma4" or "gpt_oss" or "lfm2_moe" ? "" : "hidden_act";
        if (key.Length == 0) return;     // these have it elsewhere, or compute something else whatever it says

        var error = Assert.Throws<CheckpointException>(() => Read(each.Json.Replace("{\"model_type\"", "{\"hidden_act\":\"tanh\",\"model_type\"", StringComparison.Ordinal), out _));

        Assert.Contains("hidden_act is \"tanh\"", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"moe_normalize_expert_weights": 2.0}""", Renormalization.PNorm, 2)]
    [InlineData("""{"moe_normalize_expert_weights": null}""", Renormalization.Never, 1)]
    [InlineData("{}", Renormalization.PNorm, 1)]        // the default of the class, which transformers leaves out
    public void Read_DbrxsPower_IsOneWhereItIsAbsentAndNoneWhereItIsNull(string given, Renormalization renormalize, double power)
    {
        string json = Changed("dbrx", config =>
        {
            var experts = config["ffn_config"]!.AsObject();
            experts.Remove("moe_normalize_expert_weights");
            foreach (var (key, value) in JsonNode.Parse(given)!.AsObject()) experts[key] = value?.DeepClone();
        });

        var router = ((MlpOptions.Sparse)Read(json, out _).Layers[0]).Moe.Router;

        Assert.Equal((renormalize, power), (router.Renormalize, router.RenormalizePower));
    }

    [Theory]
    [InlineData("jamba", "num_experts", "1")]       // of which each token would take two
    [InlineData("llama4_text", "moe_layers", "[]")]
    public void Read_AModelWithoutExperts_IsDense(string family, string key, string value) =>
        Assert.Empty(Read(Changed(family, config => config[key] = JsonNode.Parse(value)), out _).MoeLayers);

    [Theory]
    [InlineData("deepseek_v3", "routed_scaling_factor", null, "routed_scaling_factor is absent")]
    [InlineData("kimi_k2", "routed_scaling_factor", null, "routed_scaling_factor is absent")]
    [InlineData("glm4_moe_lite", "routed_scaling_factor", null, "routed_scaling_factor is absent")]
    [InlineData("glm_moe_dsa", "routed_scaling_factor", null, "routed_scaling_factor is absent")]
    [InlineData("exaone_moe", "routed_scaling_factor", null, "routed_scaling_factor is absent")]
    [InlineData("hy_v3", "router_scaling_factor", null, "router_scaling_factor is absent")]
    [InlineData("hy_v3", "route_norm", "false", "route_norm is false, which is not supported; expected true")]
    [InlineData("afmoe", "num_expert_groups", "2", "num_expert_groups is 2, which is not supported; expected 1")]
    [InlineData("solar_open", "first_k_dense_replace", "1", "first_k_dense_replace is 1, which is not supported; expected 0")]
    [InlineData("mimo_v2_flash", "moe_layer_freq", "[1, 2]", "moe_layer_freq is [1, 2]; expected 4 numbers, 0 or 1 for each layer")]
    [InlineData("minimax", "shared_intermediate_size", "8", "shared_intermediate_size is 8, which is not supported; expected 0")]
    [InlineData("ernie4_5_moe", "moe_norm_min", "0.5", "moe_norm_min is 0.5, which is not supported; expected at most 1e-8")]
    public void Read_AnOptionThatIsNotUnderstoodAlike_IsNamed(string family, string key, string? value, string fault)
    {
        string json = Changed(family, config =>
        {
            config.Remove(key);
            if (value is not null) config[key] = JsonNode.Parse(value);
        });

        Assert.Contains(fault, Assert.Throws<CheckpointException>(() => Read(json, out _)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_AListWhereANumberBelongs_IsShownOnOneLine()
    {
        string json = Changed("olmoe", config => config.Remove("num_experts")).Replace("{\"model_type\"", "{\"num_experts\": [\n  6,\n  7\n], \"model_type\"", StringComparison.Ordinal);

        Assert.Contains("num_experts is [ 6, 7 ]; expected a whole number", Assert.Throws<CheckpointException>(() => Read(json, out _)).Message, StringComparison.Ordinal);
    }

    /// <summary>What layer types, prefix and way of storing a family's files have: every weight is found where it was written.</summary>
    [Theory, MemberData(nameof(Ways))]
    public void Open_AWayOfStoring_GivesWhatWasWritten(FamilyCase each, int layout, int prefix, int way)
    {
        using var folder = new TemporaryFolder();
        var written = Write(folder, each, layout, prefix, way);

        using var checkpoint = MoeCheckpoint.Open(folder.Path);

        Assert.Empty(checkpoint.Warnings);
        Assert.Equal(each.MoeLayers, checkpoint.MoeLayers);
        foreach (int index in each.MoeLayers) StoredAssert.Equal(written, checkpoint.Layer(index));
        Assert.Equal(written.Tensors.Keys.Concat(written.Tables.Keys).Order(StringComparer.Ordinal), each.MoeLayers.SelectMany(index => checkpoint.Layer(index).Tensors).Order(StringComparer.Ordinal));
    }

    // both ways of this family have these names
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Open_AFaultOfATensorThatTwoWaysHave_IsSaidOnce(bool hasScales)
    {
        using var folder = new TemporaryFolder();
        var each = FamilyCases.All.Single(each => each.Family == "qwen3_vl_moe_text");
        var written = Write(folder, each, 0, 0, 0);
        string name = written.Tensors.Keys.First(key => key.EndsWith("gate_up_proj", StringComparison.Ordinal));
        var (shape, values) = written.Tensors[name];
        written.Tensors.Remove(name);
        written.Tables.Add(name, (shape, [.. values.Select(value => (long)value)]));
        if (hasScales) written.Tensors.Add($"{name}_scale_inv", ([1], [1]));
        written.Write(folder, each.Json);

        string message = Assert.Throws<CheckpointException>(() => MoeCheckpoint.Open(folder.Path)).Message;

        Assert.Single(message.Split('\n'), line => line.Contains($"'{name}' is I64", StringComparison.Ordinal));
    }

    [Fact]
    public void Open_WhatSpeaksBesideAThinker_IsNotUsed()
    {
        using var folder = new TemporaryFolder();
        var each = FamilyCases.All.Single(each => each.Family == "qwen3_omni_moe_text");
        var written = Write(folder, each, 0, 0, 0);
        written.Tensors.Add("talker.model.layers.1.mlp.experts.0.gate_proj.weight", ([1], [1]));
        written.Tensors.Add("code2wav.upsample.0.1.gamma", ([1], [1]));
        written.Write(folder, each.Json);

        using var checkpoint = MoeCheckpoint.Open(folder.Path);

        Assert.Empty(checkpoint.Warnings);
    }

    [Theory, MemberData(nameof(Families))]
    public void Open_ATensorMissingOrTooMany_IsNamed(FamilyCase each)
    {
        using var folder = new TemporaryFolder();
        var written = Write(folder, each, 0, 0, 0);
        foreach (string name in (string[])[.. written.Tensors.Keys.Where((_, i) => i % 5 == 0)])
        {
            var (shape, values) = written.Tensors[name];
            written.Tensors.Remove(name);
            written.Write(folder, each.Json);
            Assert.Contains($"'{name}'", Assert.Throws<CheckpointException>(() => MoeCheckpoint.Open(folder.Path)).Message, StringComparison.Ordinal);

            written.Tensors.Add(name, ([.. shape, 1], values));
            written.Write(folder, each.Json);
            Assert.Contains($"Tensor '{name}' has the shape", Assert.Throws<CheckpointException>(() => MoeCheckpoint.Open(folder.Path)).Message, StringComparison.Ordinal);

            written.Tensors[name] = (shape, values);
        }

        string extra = written.Tensors.Keys.First(name => name.Contains("expert", StringComparison.Ordinal) || name.Contains("block_sparse_moe", StringComparison.Ordinal)).Replace("weight", "", StringComparison.Ordinal) + ".more";
        written.Tensors.Add(extra, ([1], [1]));
        written.Write(folder, each.Json);
        Assert.Contains($"'{extra}' is not part of the layer", Assert.Throws<CheckpointException>(() => MoeCheckpoint.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(GoldenFolders))]
    public void Read_BothStylesOfKeys_GiveTheSameModel(string name)
    {
        string published = Fixtures.Path("models", name, "config.published.json");
        if (!File.Exists(published)) return;

        var current = ModelConfig.Read(Fixtures.Path("models", name, "config.json"), out _);

        Assert.Equal(current.Layers, ModelConfig.Read(published, out _).Layers);
    }

    [Theory, MemberData(nameof(GoldenFolders))]
    public void Open_AModelOfTheReference_UsesEveryTensor(string name)
    {
        using var checkpoint = MoeCheckpoint.Open(Fixtures.Path("models", name));

        Assert.Empty(checkpoint.Warnings);
        Assert.NotEmpty(checkpoint.MoeLayers);
        foreach (int index in checkpoint.MoeLayers)
        {
            var layer = checkpoint.Layer(index);
            var matrix = layer.Expert(layer.Options.Router.ExpertCount - 1).Down;
            Assert.Equal((layer.Options.HiddenSize, layer.Options.Experts.IntermediateSize), (matrix.Rows, matrix.Columns));
        }
    }

    private static IEnumerable<TheoryDataRow<FamilyCase, int, int, int>> Combinations(FamilyCase each)
    {
        foreach (var (layout, of) in ModelFamilies.Find(each.Family)!.Layouts.Index())
        {
            for (int prefix = 0; prefix < of.Prefixes.Count; prefix++)
            {
                foreach (var (way, experts) in of.Experts.Index())
                {
                    if (!experts.Any(stored => stored.IsBlocks)) yield return new(each, layout, prefix, way);
                }
            }
        }
    }

    internal static WrittenCheckpoint Write(TemporaryFolder folder, FamilyCase each, int layout, int prefix, int way)
    {
        var model = Read(each.Json, out _);
        var of = ModelFamilies.Find(each.Family)!.Layouts[layout];
        var written = new WrittenCheckpoint(model, new LayerPlace(of, of.Prefixes[prefix]), of.Experts[way], of.Shared.Count > 0 ? of.Shared[0] : null);
        written.Fill();
        written.Write(folder, each.Json);
        return written;
    }

    private static string Changed(string family, Action<JsonObject> change)
    {
        var config = JsonNode.Parse(FamilyCases.All.Single(each => each.Family == family).Json)!.AsObject();
        change(config);
        return config.ToJsonString();
    }

    private static ModelDescription Read(string json, out IReadOnlyList<string> warnings)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), json);
        return ModelConfig.Read(folder.File("config.json"), out warnings);
    }
}
