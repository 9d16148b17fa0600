using System.Text.Json.Nodes;
using MoeSharp.Checkpoints;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

/// <summary>A case that is damaged or contradicts itself ends in one message that names the file and the fault.</summary>
public sealed class UnreadableCaseTests : IDisposable
{
    private const string Layer = "layers/maxtext_gemma4", Router = "router/mcore_router_aux_z_mask_b2s12e8k3", Hash = "router/deepseek_v4_hash_b2s11e8k3";

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, string> Descriptions => new()
    {
        { """{"format": null}""", "The case does not state its format; expected \"format\": 1, a layer or router case." },
        { """{"format": 3}""", "The case is of format 3; a single file is expected to be of format 1, a layer or router case." },
        { """{"format": "1"}""", "The format is \"1\"; expected a number." },
        { """{"kind": "gate"}""", "The kind is 'gate'; expected 'layer' or 'router'." },
        { """{"mode": "test"}""", "The mode is 'test'; expected 'train' or 'eval'." },
        { """{"mode": 1}""", "The mode is '1'; expected 'train' or 'eval'." },
        { """{"tolerance": -1}""", "The tolerance is -1; expected a number above 0." },
        { """{"tolerance": "tight"}""", "The tolerance is \"tight\"; expected a number." },
        { """{"layer": []}""", ": layer: the layer is a list; expected an object." },
        { """{"layer": {"num_experts": 12, "top_k": 4}}""", "hidden_size" },
        { """{"layer": {"hidden_size": 22, "expert_size": 10, "num_experts": 12, "top_k": 4, "routers": {}}}""", "routers" },
        { """{"layer": {"hidden_size": 22, "expert_size": 10, "num_experts": 12, "top_k": 13}}""", "TopK is 13 but there are 12 experts; set TopK to 1..12." },
    };

    [Theory]
    [MemberData(nameof(Descriptions))]
    public void Verify_DescriptionThatCannotBe_SaysWhy(string change, string fault) => AssertUnreadable(fault, Layer, edited =>
    {
        foreach (var (name, value) in JsonNode.Parse(change)!.AsObject()) edited.About[name] = value?.DeepClone();
    });

    [Fact]
    public void Verify_DescriptionWithoutModeOrLayer_SaysWhichIsMissing()
    {
        AssertUnreadable("The case does not state its mode; expected 'train' or 'eval'.", Layer, edited => edited.About.Remove("mode"));
        AssertUnreadable("The case has no 'layer', the options of what it is a case of.", Layer, edited => edited.About.Remove("layer"));
    }

    [Fact]
    public void Verify_MissingTensors_AreListedTogether()
    {
        string message = AssertUnreadable("3 faults", Layer, edited =>
        {
            edited.Copy("param.experts.gate", "param.experts.gate_bias");
            foreach (string name in (string[])["param.router.weight", "param.shared.down"])
            {
                edited.Remove(name);
                edited.Remove($"grad.{name}");
            }
        });

        Assert.Contains("There is no tensor 'param.router.weight'; expected F32 [12, 22].", message, StringComparison.Ordinal);
        Assert.Contains("There is no tensor 'param.shared.down'; expected F32 [22, 20].", message, StringComparison.Ordinal);
        Assert.Contains("Tensor 'param.experts.gate_bias' has no place in a layer case with these options.", message, StringComparison.Ordinal);
    }

    public static TheoryData<string, string, string> Tensors => new()
    {
        { Layer, "input.x", "There is no tensor 'input.x', which a layer case starts from." },
        { Router, "input.logits", "There is no tensor 'input.logits', which a router case starts from." },
        { Hash, "input.token_ids", "There is no tensor 'input.token_ids'; expected I64 [2, 11]." },
        { Hash, "param.router.table", "There is no tensor 'param.router.table'; expected I64 [*, 3]." },
        { "router/phimoe_sparsemixer_train_jitter0.01_b2s6e4", "input.noise.uniform.1", "There is no tensor 'input.noise.uniform.1'; expected F32 [2, 6]." },
        { "router/gemma4_b2s10e8k2d12", "param.router.scale", "There is no tensor 'param.router.scale'; expected F32 [12]." },
    };

    [Theory]
    [MemberData(nameof(Tensors))]
    public void Verify_MissingTensor_IsNamed(string name, string tensor, string fault) => AssertUnreadable(fault, name, edited =>
    {
        edited.Remove(tensor);
        if (edited.Names.Contains($"grad.{tensor}")) edited.Remove($"grad.{tensor}");
    });

    [Fact]
    public void Verify_WrongShapesAndTypes_AreNamed()
    {
        AssertUnreadable("Tensor 'input.mask' is U8 [12, 2]; expected U8 [2, 12].", Router, edited => edited.Reshape("input.mask", 12, 2));
        AssertUnreadable("Tensor 'input.mask' is BOOL [2, 12]; expected U8 [2, 12].", Router, edited => edited.Retype("input.mask", TensorType.Bool));
        AssertUnreadable("Tensor 'output.y' is F32 [2, 264]; expected F32 [2, 12, 22].", Layer, edited => edited.Reshape("output.y", 2, 264));
        AssertUnreadable("Tensor 'output.y' is I32 [2, 12, 22]; expected F32 [2, 12, 22].", Layer, edited => edited.Retype("output.y", TensorType.I32));
        AssertUnreadable("Tensor 'output.expert_ids' is F64 [2, 12, 4]; expected I64 [2, 12, 4].", Layer, edited => edited.Retype("output.expert_ids", TensorType.F64));
        AssertUnreadable("Tensor 'output.load_balance_loss' is F32 [1]; expected F32 [].", Layer, edited => edited.Reshape("output.load_balance_loss", 1));
        AssertUnreadable("Tensor 'input.x' has shape [24, 22]; expected [batch, sequence, hidden].", Layer, edited => edited.Reshape("input.x", 24, 22));
        AssertUnreadable("Tensor 'param.router.table' is I64 [60]; expected I64 [1, 3].", Hash, edited => edited.Reshape("param.router.table", 60));
    }

    [Fact]
    public void Verify_TensorsWithoutAPlace_AreNamed()
    {
        AssertUnreadable("Tensor 'input.maks' has no place in a router case with these options.", Router, edited => edited.Rename("input.mask", "input.maks"));
        AssertUnreadable("Tensor 'input.x' has no place in a router case with these options.", Router, edited => edited.Copy("input.logits", "input.x"));
        AssertUnreadable("Tensor 'grad.param.router.bias' has no place in a layer case with these options.", Layer, edited => edited.Copy("grad.param.router.weight", "grad.param.router.bias"));
        AssertUnreadable("Tensor 'output.bias_update' has no place in a layer case with these options.", Layer, edited => edited.Put("output.bias_update", TensorType.F32, [12], new byte[48]));
    }

    [Fact]
    public void Verify_ValuesThatCannotBe_AreNamed()
    {
        AssertUnreadable("The id of token 0 is 20, but the token table has rows 0..19", Hash, edited => edited.Change<long>("input.token_ids", _ => 20));
        AssertUnreadable("The token table sends id 0 to expert 8; expected 0..7.", Hash, edited => edited.Change<long>("param.router.table", _ => 8));
        AssertUnreadable("Token 0 has expert 12 in 'output.expert_ids'; expected 0..11, or -1 for none.", Layer, edited => edited.Change<long>("output.expert_ids", _ => 12));
        AssertUnreadable("The router logit of token 0 for expert 0 is not a number", Router, edited => edited.Change<float>("input.logits", _ => float.NaN));
        AssertUnreadable("2 sequences do not lie evenly on 3 shards", Layer, edited => edited.Layer["dispatch"] = JsonNode.Parse("""{"kind": "dropless", "ragged_buffer": {"shards": 3, "factor": 1}}"""));
    }

    [Fact]
    public void Verify_FileWithoutADescription_SaysSo()
    {
        SafetensorsWriter.Write(_folder.File("plain.case.safetensors"), []);

        var error = Assert.Throws<CheckpointException>(() => CaseVerifier.Verify(_folder.File("plain.case.safetensors")));

        Assert.Contains("The metadata has no 'case'; a case describes itself there.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_EveryCutOfAFile_IsUnreadable()
    {
        byte[] whole = File.ReadAllBytes(Fixtures.Path("router", "mixtral_balance_loss_layers2_b2s7e4k2.case.safetensors"));

        for (int length = 0; length < whole.Length; length += 61)
        {
            File.WriteAllBytes(_folder.File("cut.case.safetensors"), whole[..length]);
            Assert.ThrowsAny<MoeException>(() => CaseVerifier.Verify(_folder.File("cut.case.safetensors")));
        }
    }

    public void Dispose() => _folder.Dispose();

    private string AssertUnreadable(string fault, string name, Action<EditableCase> edit)
    {
        string path = _folder.File("edited.case.safetensors");
        var edited = EditableCase.Read(Fixtures.Path([.. $"{name}{CaseVerifier.CaseFileEnding}".Split('/')]));
        edit(edited);
        edited.Write(path);

        string message = Assert.ThrowsAny<MoeException>(() => CaseVerifier.Verify(path)).Message;

        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains(fault, message, StringComparison.Ordinal);
        return message;
    }
}
