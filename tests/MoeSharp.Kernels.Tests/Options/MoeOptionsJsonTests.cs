using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed partial class MoeOptionsJsonTests
{
    private static readonly MoeOptions Plain = new()
    {
        HiddenSize = 8,
        Router = new RouterOptions { ExpertCount = 4, TopK = 2 },
        Experts = new ExpertOptions { IntermediateSize = 6 },
    };

    [Fact]
    public void Read_WhatWasWritten_GivesTheSameOptions() => AnyOptions.Valid.ForEach(4000, options =>
    {
        string json = MoeOptionsJson.Write(options);

        var read = MoeOptionsJson.Read(json, "it");

        AssertSame(options, read);
        Assert.Equal(json, MoeOptionsJson.Write(read));
    });

    [Fact]
    public void AnyOptions_Draws_CoverEverySelectionAndDispatch()
    {
        var seen = new HashSet<string>();

        AnyOptions.Valid.ForEach(4000, options => seen.Add($"{options.Router.Select.GetType().Name} {KindOf(options)}"));

        Assert.Equal((8 * 4) + 1, seen.Count);         // expert choice goes with a capacity only
    }

    [Fact]
    public void Docs_EveryFieldThatIsWritten_IsInATable()
    {
        string docs = Docs();
        var written = new HashSet<string>();

        AnyOptions.Valid.ForEach(4000, options => written.UnionWith(FieldName().Matches(MoeOptionsJson.Write(options)).Select(match => match.Groups[1].Value)));

        Assert.True(written.Count > 50);
        Assert.DoesNotContain(written, name => !Regex.IsMatch(docs, $@"^\| `([a-z_]+\.)?{name}`", RegexOptions.Multiline));
    }

    [Fact]
    public void Docs_Example_IsValidAndComesBack()
    {
        string example = Regex.Match(Docs(), "```json\n(.*?)```", RegexOptions.Singleline).Groups[1].Value;

        var options = MoeOptionsJson.Read(example, "docs/options-json.md");

        options.Validate();
        Assert.Equal(new GroupLimit(8, 3, GroupRanking.TopTwoSum), options.Router.GroupLimit);
        Assert.Equal([BalanceScope.Sequence, BalanceScope.Global], options.LoadBalance.Select(loss => loss.Scope));
        AssertSame(options, MoeOptionsJson.Read(MoeOptionsJson.Write(options), "it"));
    }

    [Fact]
    public void Read_LayersOfReferenceCases_GiveValidOptions()
    {
        using var cases = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("options", "reference-layers.json")));

        foreach (var item in cases.RootElement.EnumerateArray())
        {
            var (layer, name) = (item.GetProperty("layer"), item.GetProperty("name").GetString()!);     // every case has one

            var options = item.GetProperty("kind").ValueEquals("layer") ? MoeOptionsJson.Read(layer, name) : MoeOptionsJson.ReadRouterCase(layer, name);

            WithTableSize(options).Validate();
            AssertSame(options, MoeOptionsJson.Read(MoeOptionsJson.Write(options), name));
        }
    }

    [Fact]
    public void Read_OnlySizes_GivesDefaults()
    {
        var options = MoeOptionsJson.Read("""{ "hidden_size": 8, "expert_size": 6.0, "num_experts": 4e0, "top_k": 2, /* all else */ }""", "it");

        AssertSame(Plain, options);
    }

    [Fact]
    public void Read_NullWhereItIsAllowed_IsTheSameAsNothing()
    {
        var options = MoeOptionsJson.Read(Layer("""
            "router": { "input_norm": null, "group_limit": null, "sinkhorn": null, "quantile_balance": null, "token_table": null },
            "experts": { "limit": null }, "shared": null, "dispatch": { "capacity": null, "ragged_buffer": null },
            "load_balance": null, "z_loss": null, "balance_bias": null
            """), "it");

        AssertSame(Plain, options);
    }

    [Fact]
    public void ReadRouterCase_NoSizes_AreOne()
    {
        using var document = JsonDocument.Parse("""{ "num_experts": 4, "top_k": 2 }""");

        var options = MoeOptionsJson.ReadRouterCase(document.RootElement, "it");

        AssertSame(Plain with { HiddenSize = 1, Experts = new ExpertOptions { IntermediateSize = 1 } }, options);
    }

    [Theory]
    [InlineData("token_first", CapacityOrder.TokenFirst)]
    [InlineData("batch_first", CapacityOrder.TokenFirst)]
    [InlineData("choice_first", CapacityOrder.ChoiceFirst)]
    [InlineData("sequence_first", CapacityOrder.SequenceFirst)]
    [InlineData("priority_first", CapacityOrder.PriorityFirst)]
    public void Read_CapacityOrder_IsThePapersOrder(string word, CapacityOrder order)
    {
        var options = MoeOptionsJson.Read(Layer($$"""  "dispatch": { "kind": "capacity", "capacity": { "fixed": 3, "order": "{{word}}", "slots_per_expert": 3 } } """), "it");

        Assert.Equal(new CapacityOptions { Slots = 3, Order = order }, options.Dispatch.Capacity);
    }

    [Fact]
    public void Read_InformationalFields_AreNotKept()
    {
        var options = MoeOptionsJson.Read(Layer("""
            "dispatch": { "ragged_buffer": { "shards": 2, "factor": 0.75, "slots_per_shard": 15, "order": "source_shard, expert, token" } }
            """), "it");

        Assert.Equal(new DispatchOptions { RaggedBuffer = new RaggedBufferOptions(2, 0.75) }, options.Dispatch);
    }

    [Fact]
    public void Read_OneLossOrAList_AreBothLists()
    {
        var one = MoeOptionsJson.Read(Layer("""  "load_balance": { "coefficient": 0.01 } """), "it");
        var list = MoeOptionsJson.Read(Layer("""  "load_balance": [{ "coefficient": 0.01 }] """), "it");

        Assert.Equal([new LoadBalanceOptions { Coefficient = 0.01, Scope = BalanceScope.Sequence }], one.LoadBalance);
        Assert.Equal(one.LoadBalance, list.LoadBalance);
    }

    [Fact]
    public void Read_TokenTableWithoutSize_LeavesItToTheCaller()
    {
        var options = MoeOptionsJson.Read(Layer("""  "router": { "select": "token_table" } """), "it");

        Assert.Equal(new Selection.TokenTable(0), options.Router.Select);
        AssertSame(options, MoeOptionsJson.Read(MoeOptionsJson.Write(options), "it"));
    }

    [Fact]
    public void Write_PlainOptions_AreTheSizesAndTheirObjects() => Assert.Equal(
        """
        {
          "hidden_size": 8,
          "expert_size": 6,
          "num_experts": 4,
          "top_k": 2,
          "router": {},
          "experts": {},
          "dispatch": {
            "kind": "dropless"
          }
        }
        """.ReplaceLineEndings("\n"),
        MoeOptionsJson.Write(Plain));

    [Fact]
    public void Write_CultureWithDecimalCommas_WritesPoints()
    {
        var culture = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = new CultureInfo("de-DE");
        try
        {
            Assert.Contains("\"coefficient\": 0.5", MoeOptionsJson.Write(Plain with { ZLossCoefficient = 0.5 }), StringComparison.Ordinal);
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    [Theory]
    [InlineData(ExpertBackend.Fused, false, ExpertBackend.Auto)]
    [InlineData(ExpertBackend.Grouped, false, ExpertBackend.Auto)]
    [InlineData(ExpertBackend.Loop, false, ExpertBackend.Auto)]
    [InlineData(ExpertBackend.Dense, false, ExpertBackend.Dense)]
    [InlineData(ExpertBackend.Dense, true, ExpertBackend.Auto)]
    public void Write_BackendWithoutAWord_ComesBackAsAuto(ExpertBackend backend, bool hasBuffer, ExpertBackend comesBack)
    {
        var options = Plain with { Backend = backend, Dispatch = new DispatchOptions { RaggedBuffer = hasBuffer ? new RaggedBufferOptions(2, 1) : null } };

        AssertSame(options with { Backend = comesBack }, MoeOptionsJson.Read(MoeOptionsJson.Write(options), "it"));
    }

    [Fact]
    public void Write_ValuesWithoutAMeaning_AreLeftOut()
    {
        var router = Plain.Router with { RenormalizePower = 3, GroupLimit = new GroupLimit(2, 1, GroupRanking.Max) { Count = 1 } };

        var read = MoeOptionsJson.Read(MoeOptionsJson.Write(Plain with { Router = router }), "it").Router;

        Assert.Equal(router with { RenormalizePower = 1, GroupLimit = new GroupLimit(2, 1, GroupRanking.Max) }, read);
    }

    [Fact]
    public void Write_ValueThatJsonCannotHold_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => MoeOptionsJson.Write(Plain with { ZLossCoefficient = double.NaN }));
        var error = Assert.Throws<ArgumentException>(() => MoeOptionsJson.Write(Plain with { MaskScope = (MaskScope)7 }));

        Assert.Equal("MaskScope 7 has no word in the format; expected one of all, losses.", error.Message);
    }

    private static void AssertSame(MoeOptions expected, MoeOptions actual)
    {
        Assert.Equal(expected.LoadBalance, actual.LoadBalance);
        Assert.Equal(expected with { LoadBalance = [] }, actual with { LoadBalance = [] });
    }

    private static MoeOptions WithTableSize(MoeOptions options) => options.Router.Select is Selection.TokenTable
        ? options with { Router = options.Router with { Select = new Selection.TokenTable(10) } }
        : options;

    private static string KindOf(MoeOptions options) => options switch
    {
        { Dispatch.Capacity: not null } => "capacity",
        { Dispatch.RaggedBuffer: not null } => "buffer",
        _ => options.Backend.ToString(),
    };

    private static string Layer(string fields) => $$"""{ "hidden_size": 8, "expert_size": 6, "num_experts": 4, "top_k": 2, {{fields}} }""";

    private static string Docs() => File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, "docs", "options-json.md"));

    [GeneratedRegex("\"([a-z_0-9]+)\": ")]
    private static partial Regex FieldName();
}
