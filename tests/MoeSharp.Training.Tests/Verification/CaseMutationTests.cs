using System.Text.Json.Nodes;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

/// <summary>Whatever stands in a case, it ends in a report or in one message.</summary>
public sealed class CaseMutationTests : IDisposable
{
    private const int Mutations = 250;

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("layers", "maxtext_capacity_eval_softmax_all")]
    [InlineData("layers", "maxtext_ragged_buffer_drop")]
    [InlineData("router", "deepseek_v4_hash_b2s11e8k3")]
    [InlineData("router", "mcore_router_drop_probs_bias_aux_b3s9e4k2")]
    [InlineData("router", "phimoe_sparsemixer_train_jitter0.01_b2s6e4")]
    public void Verify_ChangedBytes_EndInAReportOrAMessage(string kind, string name)
    {
        byte[] whole = File.ReadAllBytes(Fixtures.Path(kind, name + CaseVerifier.CaseFileEnding));
        int header = 8 + BitConverter.ToInt32(whole);
        var random = new Random(3);
        for (int i = 0; i < Mutations; i++)
        {
            byte[] changed = [.. whole];
            int place = i % 2 == 0 ? random.Next(8, header) : random.Next(header, whole.Length);
            changed[place] = place < header && char.IsAsciiDigit((char)whole[place]) ? (byte)('0' + random.Next(10)) : (byte)random.Next(256);
            File.WriteAllBytes(_folder.File("changed.case.safetensors"), changed);

            AssertReportOrMessage();
        }
    }

    [Theory]
    [InlineData("layers", "maxtext_capacity_0_75")]
    [InlineData("layers", "maxtext_ragged_buffer_drop")]
    [InlineData("router", "mcore_sinkhorn_train_b2s10e8k2")]
    [InlineData("router", "mcore_quantile_train_sqrtsoftplus_b2s10e5k1")]
    [InlineData("router", "mcore_groups_sigmoid_bias_b2s9e16k4_g2of1")]
    public void Verify_ExtremeOptions_EndInAReportOrAMessage(string kind, string name)
    {
        string path = Fixtures.Path(kind, name + CaseVerifier.CaseFileEnding);
        foreach (string field in Fields(EditableCase.Read(path).Layer, ""))
        {
            foreach (string extreme in (string[])["0", "-1", "3", "2147483647", "1e-300", "null", "\"x\"", "[{}]"])
            {
                var edited = EditableCase.Read(path);
                string[] steps = field.Split('/');
                var parent = steps[..^1].Aggregate(edited.Layer, (node, step) => node[step]!.AsObject());
                parent[steps[^1]] = JsonNode.Parse(extreme);
                edited.Write(_folder.File("changed.case.safetensors"));

                AssertReportOrMessage();
            }
        }
    }

    public void Dispose() => _folder.Dispose();

    private static IEnumerable<string> Fields(JsonObject node, string prefix) => node.SelectMany(field =>
        field.Value is JsonObject inner ? Fields(inner, $"{prefix}{field.Key}/").Prepend(prefix + field.Key) : [prefix + field.Key]);

    private void AssertReportOrMessage()
    {
        try
        {
            Assert.NotNull(CaseVerifier.Verify(_folder.File("changed.case.safetensors")));
        }
        catch (MoeException error)
        {
            Assert.Contains("changed.case.safetensors", error.Message, StringComparison.Ordinal);
        }
    }
}
