using MoeSharp.Checkpoints;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

/// <summary>Layers against MaxText, routers against Megatron-Core and transformers; each file names its source.</summary>
public sealed class LayerCaseTests : IDisposable
{
    private static readonly string[] Compared = ["output.", "grad."];

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, string> Cases => [.. from kind in (string[])["layers", "router"]
                                                          from file in Directory.EnumerateFiles(Fixtures.Path(kind), $"*{CaseVerifier.CaseFileEnding}").Order(StringComparer.Ordinal)
                                                          select new TheoryDataRow<string, string>(kind, Path.GetFileName(file)[..^CaseVerifier.CaseFileEnding.Length])];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Verify_ReferenceCase_HoldsInEveryOutputAndGradient(string kind, string name)
    {
        string path = PathOf(kind, name);

        var report = CaseVerifier.Verify(path);

        Assert.DoesNotContain(report.Rows, row => !row.Passed);
        Assert.Empty(report.Skipped);
        Assert.Equal(EditableCase.Read(path).Names.Where(IsCompared).Order(), report.Rows.Select(row => row.Tensor).Where(IsCompared).Order());
    }

    [Theory]
    [InlineData("layers", "maxtext_deepseek3_balance_loss")]
    [InlineData("layers", "maxtext_gemma4")]
    [InlineData("layers", "maxtext_capacity_0_75")]
    [InlineData("router", "mcore_router_sigmoid_bias_seq_aux_z_b2s12e8k3")]
    [InlineData("router", "mcore_quantile_train_softmax_b2s6e4k2")]
    [InlineData("router", "phimoe_sparsemixer_train_jitter0.15_b2s9e8")]
    [InlineData("router", "mixtral_balance_loss_layers2_mask_b2s7e4k2")]
    public void Verify_OneFalseValue_DiffersThere(string kind, string name)
    {
        foreach (string tensor in EditableCase.Read(PathOf(kind, name)).Names.Where(IsCompared))
        {
            var report = Edited(kind, name, edited => edited.Falsify(tensor));

            Assert.Contains(report.Rows, row => row.Tensor == tensor && !row.Passed);
            Assert.DoesNotContain(report.Rows, row => !row.Passed && row.Tensor != tensor && !(tensor == "output.expert_ids" && row.Tensor == "output.weights"));
        }
    }

    [Fact]
    public void Verify_SlotsInAnotherOrder_Hold()
    {
        var report = Edited("router", "phimoe_sparsemixer_eval_jitter0.01_b2s6e4", edited =>
        {
            Swap<long>(edited, "output.expert_ids");
            Swap<float>(edited, "output.weights");
        });

        Assert.True(report.Passed);
    }

    [Fact]
    public void Verify_AnExpertNamedTwice_DiffersInThatPair()
    {
        var report = Edited("router", "phimoe_sparsemixer_eval_jitter0.01_b2s6e4", edited => edited.Change<(long First, long Second)>("output.expert_ids", ids => (ids.First, ids.First)));

        Assert.Equal(2, Assert.Single(report.Rows, row => row.Tensor == "output.expert_ids").Error);
    }

    [Fact]
    public void Verify_WeightsWithoutIds_AreComparedAsSets()
    {
        Assert.True(Edited("layers", "maxtext_qwen3", edited => edited.Remove("output.expert_ids")).Passed);
        Assert.Contains(
            Edited("layers", "maxtext_qwen3", edited =>
            {
                edited.Remove("output.expert_ids");
                edited.Falsify("output.weights");
            }).Rows,
            row => row is { Tensor: "output.weights", Passed: false });
    }

    [Fact]
    public void Verify_OtherSlotsPerExpert_Differ()
    {
        var report = Edited("layers", "maxtext_capacity_0_75", edited => edited.Layer["dispatch"]!["capacity"]!["slots_per_expert"] = 4);

        Assert.Equal(1, Assert.Single(report.Rows, row => !row.Passed).Error);
        Assert.Equal("layer.dispatch.capacity.slots_per_expert", Assert.Single(report.Rows, row => !row.Passed).Tensor);
    }

    [Fact]
    public void Verify_OtherOption_Differs()
    {
        var report = Edited("layers", "maxtext_deepseek2", edited => edited.Layer["router"]!["scale"] = 15);

        Assert.Contains(report.Rows, row => row is { Tensor: "output.y", Passed: false });
        Assert.Contains(report.Rows, row => row is { Tensor: "output.expert_ids", Passed: true });
    }

    [Fact]
    public void Verify_DrawnExperts_AreNotComparedByValue()
    {
        var report = Edited("router", "mcore_router_z_b2s12e8k3", edited => edited.Layer["router"]!["select"] = "random");

        Assert.Equal("output.z_loss", Assert.Single(report.Rows).Tensor);
        Assert.Contains("output.probs", report.Skipped);
    }

    [Fact]
    public void Verify_Tolerance_IsTheCases()
    {
        var report = Edited("router", "mcore_router_z_b2s12e8k3", edited =>
        {
            edited.About["tolerance"] = 1e-9;
            edited.About["remark"] = "other fields are comments";
        });

        Assert.False(report.Passed);
        Assert.Equal([0, 1e-9], report.Rows.Select(row => row.Limit).Distinct().Order());
    }

    [Fact]
    public void Verify_Padding_HasNoExpertsWhateverIdsItNames()
    {
        var report = Edited("router", "mcore_sigmoid_b2s11e8k3", edited =>
        {
            foreach (string name in edited.Names.Where(name => name is not "input.logits").ToArray()) edited.Remove(name);
            byte[] none = new byte[2 * 11];
            edited.Put("input.mask", TensorType.U8, [2, 11], none);
            edited.Put("output.expert_ids", TensorType.I64, [2, 11, 3], new byte[2 * 11 * 3 * sizeof(long)]);
            edited.Put("output.weights", TensorType.F32, [2, 11, 3], new byte[2 * 11 * 3 * sizeof(float)]);
            edited.Put("output.map", TensorType.U8, [2, 11, 8], new byte[2 * 11 * 8]);
        });

        Assert.True(report.Passed);
        Assert.Equal(3, report.Rows.Count);
    }

    public void Dispose() => _folder.Dispose();

    private static bool IsCompared(string name) => Compared.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal));

    private static string PathOf(string kind, string name) => Fixtures.Path(kind, name + CaseVerifier.CaseFileEnding);

    private static void Swap<T>(EditableCase edited, string name)
        where T : unmanaged => edited.Change<(T First, T Second)>(name, pair => (pair.Second, pair.First));

    private VerifyReport Edited(string kind, string name, Action<EditableCase> edit)
    {
        var edited = EditableCase.Read(PathOf(kind, name));
        edit(edited);
        edited.Write(_folder.File("edited.case.safetensors"));
        return CaseVerifier.Verify(_folder.File("edited.case.safetensors"));
    }
}
