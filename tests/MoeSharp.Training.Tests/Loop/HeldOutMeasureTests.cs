using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class HeldOutMeasureTests
{
    [Fact]
    public void BitsPerByte_AModelThatKnowsNothing_NeedsTheBitsOfAUniformGuess()
    {
        using var scope = NewDisposeScope();
        using var corpus = SmallCorpus.Open();
        using var model = new DecoderModel(TinyModel.Shape.ToDecoder(SmallCorpus.Vocabulary, 32, 0));
        model.Initialize(1);
        using (no_grad()) model.Head!.zero_();
        int[] oneByteEach = [.. Enumerable.Repeat(1, SmallCorpus.Vocabulary)];

        double bits = new HeldOutMeasure(corpus.HeldOut, oneByteEach, length: 16).BitsPerByte(model, long.MaxValue, default);

        Assert.Equal(Math.Log2(SmallCorpus.Vocabulary), bits, 1e-4);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(100)]
    [InlineData(500)]
    public void BitsPerByte_PartOfTheText_IsNearThatOfAll(long limit)
    {
        using var scope = NewDisposeScope();
        using var corpus = SmallCorpus.Open();
        using var model = TinyModel.Create(TinyModel.Shape.ToDecoder(SmallCorpus.Vocabulary, 32, 0));
        int[] oneByteEach = [.. Enumerable.Repeat(1, SmallCorpus.Vocabulary)];
        var measure = new HeldOutMeasure(corpus.HeldOut, oneByteEach, length: 16);

        Assert.InRange(measure.BitsPerByte(model, limit, default) / measure.BitsPerByte(model, long.MaxValue, default), 0.8, 1.25);
    }

    [Fact]
    public void ByteCounts_OfTheHeldOutTokens_AddUpToItsBytes()
    {
        using var corpus = SmallCorpus.Open();
        long[] tokens = new long[corpus.HeldOut.Count];
        corpus.HeldOut.Read(0, tokens);

        int[] counts = TrainingText.CountBytes(SmallCorpus.Tokenizer);

        Assert.Equal(corpus.HeldOutBytes, tokens.Sum(token => counts[token]));
    }
}
