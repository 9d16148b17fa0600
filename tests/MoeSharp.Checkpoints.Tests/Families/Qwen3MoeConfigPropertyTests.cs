using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class Qwen3MoeConfigPropertyTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static Gen<MoeOptions> Moe(int hiddenSize) =>
        from experts in Gen.Int[1, 512]
        from topK in Gen.Int[1, experts]
        from width in Gen.Int[1, 4096]
        from renormalize in Gen.Enum<Renormalization>()
        from correction in Gen.Bool
        from mask in Gen.Enum<MaskScope>()
        from score in Gen.Enum<ScoreFunction>()
        select new MoeOptions
        {
            HiddenSize = hiddenSize,
            MaskScope = mask,
            Router = new RouterOptions { ExpertCount = experts, TopK = topK, Score = score, Renormalize = renormalize, HasCorrectionBias = correction },
            Experts = new ExpertOptions { IntermediateSize = width },
        };

    private static readonly Gen<AttentionOptions> Attention =
        from keyValueHeads in Gen.Int[1, 16]
        from groups in Gen.Int[1, 8]
        from pairs in Gen.Int[1, 128]
        from theta in Gen.Double[1, 1e8]
        from bias in Gen.Bool
        select new AttentionOptions { HeadCount = keyValueHeads * groups, KeyValueHeadCount = keyValueHeads, HeadSize = 2 * pairs, RopeTheta = theta, HasBias = bias };

    private static readonly Gen<DecoderOptions> Decoders =
        from hiddenSize in Gen.Int[1, 8192]
        from moe in Moe(hiddenSize)
        from denseWidth in Gen.Int[1, 32768]
        from pattern in Gen.Bool.Array[1, 40]
        from attention in Attention
        from vocabulary in Gen.Int[2, 200_000]
        from positions in Gen.Int[1, int.MaxValue]
        from numbers in Gen.Select(Gen.Double[1e-12, 1], Gen.Double[1e-6, 2], Gen.Double[0, 1])
        from tied in Gen.Bool
        from ids in Gen.Select(Gen.Int[-1, vocabulary - 1], Gen.Int[-1, vocabulary - 1])
        select new DecoderOptions
        {
            VocabularySize = vocabulary,
            HiddenSize = hiddenSize,
            MaxPositions = positions,
            Attention = attention,
            Layers = [.. pattern.Select(isDense => isDense ? (MlpOptions)new MlpOptions.Dense(denseWidth) : new MlpOptions.Sparse(moe))],
            RmsNormEpsilon = numbers.Item1,
            InitializerRange = numbers.Item2,
            LoadBalanceCoefficient = numbers.Item3,
            TieEmbeddings = tied,
            BeginOfTextId = ids.Item1 < 0 ? null : ids.Item1,
            EndOfTextId = ids.Item2 < 0 ? null : ids.Item2,
        };

    [Fact]
    public void Qwen3MoeConfig_AnyModelWritten_IsReadBackEqualAndWithoutWarnings()
    {
        string path = _folder.File("config.json");

        Decoders.ForEach(
            500,
            options =>
            {
                File.WriteAllText(path, Qwen3MoeConfig.Write(options));

                DecoderAssert.Equal(options, Qwen3MoeConfig.Read(path, out var warnings));
                Assert.Empty(warnings);
            });
    }

    [Fact]
    public void Qwen3MoeConfig_MutatedText_IsReadOrRejectedWithCheckpointException()
    {
        byte[] original = File.ReadAllBytes(Fixtures.Path("qwen3_moe", "config.json"));
        string path = _folder.File("config.json");

        Gen.Select(Gen.Int[0, original.Length - 1], Gen.Int[0, 8], Gen.OneOf("", "9", "-", "e9", "null", "\"", "{", "[", "]", ",", "\\ud800", "\0", "true")).ForEach(
            3000,
            edit =>
            {
                var (position, removed, inserted) = edit;
                byte[] tail = original[Math.Min(position + removed, original.Length)..];
                File.WriteAllBytes(path, [.. original[..position], .. System.Text.Encoding.UTF8.GetBytes(inserted), .. tail]);
                try
                {
                    Assert.NotEmpty(Qwen3MoeConfig.Read(path).Layers);
                }
                catch (CheckpointException e)
                {
                    Assert.StartsWith(path, e.Message, StringComparison.Ordinal);
                }
            });
    }
}
