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

    public void Dispose() => _folder.Dispose();
}
