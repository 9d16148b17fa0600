using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class BatchSamplerTests
{
    [Fact]
    public void Batch_Targets_AreOneTokenAhead()
    {
        using var scope = NewDisposeScope();
        using var corpus = SmallCorpus.Open();
        var (inputs, targets) = new BatchSampler(corpus.Train, batchSize: 3, length: 10, seed: 1).Batch(2);

        Assert.Equal(Rows(inputs).Select(row => row[1..]), Rows(targets).Select(row => row[..^1]));
    }

    [Fact]
    public void Batch_IsAFunctionOfSeedAndNumber()
    {
        using var scope = NewDisposeScope();
        using var corpus = SmallCorpus.Open();
        BatchSampler Create(int seed) => new(corpus.Train, batchSize: 3, length: 10, seed);
        var used = Create(1);
        for (int i = 0; i < 50; i++) used.Batch(i);

        Assert.Equal(Rows(Create(1).Batch(7).Inputs), Rows(used.Batch(7).Inputs));
        Assert.NotEqual(Rows(Create(2).Batch(7).Inputs), Rows(used.Batch(7).Inputs));
    }

    [Fact]
    public void Batch_AnEpoch_ShowsEveryWindowOnce()
    {
        using var scope = NewDisposeScope();
        using var corpus = SmallCorpus.Open();
        const int Length = 10;
        int windows = (int)((corpus.Train.Count - Length) / Length);
        var sampler = new BatchSampler(corpus.Train, batchSize: 1, Length, seed: 1);

        for (int epoch = 0; epoch < 2; epoch++)
        {
            long[][] seen = [.. Enumerable.Range(epoch * windows, windows).Select(number => Rows(sampler.Batch(number).Inputs)[0])];
            long[] text = new long[corpus.Train.Count];
            corpus.Train.Read(0, text);

            int offset = Enumerable.Range(0, Length).First(start => seen.Any(row => text.AsSpan(start, Length).SequenceEqual(row)));
            var expected = Enumerable.Range(0, windows).Select(i => text[(offset + i * Length)..(offset + (i + 1) * Length)]);
            Assert.Equal(expected.Select(Key).Order(), seen.Select(Key).Order());
        }
    }

    private static long[][] Rows(Tensor batch) => [.. Enumerable.Range(0, (int)batch.size(0)).Select(row => batch[row].data<long>().ToArray())];

    private static string Key(long[] row) => string.Join(',', row);
}
