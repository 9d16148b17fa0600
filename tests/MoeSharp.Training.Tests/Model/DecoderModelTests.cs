using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class DecoderModelTests
{
    [Fact]
    public void Initialize_EqualSeeds_GiveEqualBits()
    {
        using var scope = NewDisposeScope();
        using var first = TinyModel.Create(seed: 5);
        using var second = TinyModel.Create(seed: 5);
        using var other = TinyModel.Create(seed: 6);
        var tokens = TinyModel.Tokens(2, 8);

        Assert.Equal(Logits(first, tokens), Logits(second, tokens));
        Assert.NotEqual(Logits(first, tokens), Logits(other, tokens));
    }

    [Fact]
    public void Forward_ALaterToken_DoesNotChangeEarlierPositions()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        var tokens = TinyModel.Tokens(1, 8);
        var changed = tokens.clone();
        changed[0, 7] = (changed[0, 7] + 1) % TinyModel.Options.VocabularySize;

        var before = model.Logits(model.call(tokens).Hidden).narrow(1, 0, 7);
        var after = model.Logits(model.call(changed).Hidden).narrow(1, 0, 7);

        Assert.True(before.allclose(after, rtol: 1e-5, atol: 1e-6));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(8)]
    public void Forward_WithACacheInPieces_EqualsOneCall(int piece)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        var tokens = TinyModel.Tokens(2, 8);
        using var cache = model.CreateCache(8);

        var pieces = new List<Tensor>();
        for (int start = 0; start < 8; start += piece)
            pieces.Add(model.forward(tokens.narrow(1, start, Math.Min(piece, 8 - start)), null, cache).Hidden);

        Assert.True(cat(pieces, 1).allclose(model.call(tokens).Hidden, rtol: 1e-4, atol: 1e-5));
        Assert.Equal(8, cache.Length);
    }

    [Fact]
    public void Forward_MoreTokensThanTheCacheHolds_IsRefused()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        using var cache = model.CreateCache(4);

        var error = Assert.Throws<InvalidOperationException>(() => model.forward(TinyModel.Tokens(1, 5), null, cache));

        Assert.Equal("The cache holds 0 of 4 tokens; 5 more do not fit.", error.Message);
    }

    [Fact]
    public void Forward_LeftPadding_GivesTheNumbersOfTheTextAlone()
    {
        // rotary positions are relative, so a text that starts later has the same scores
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();
        var text = TinyModel.Tokens(1, 6);
        var padded = cat([zeros(1, 3, ScalarType.Int64), text], 1);
        var mask = cat([zeros(1, 3, ScalarType.Int64), ones(1, 6, ScalarType.Int64)], 1);

        var alone = model.call(text);
        var within = model.forward(padded, mask, null);

        Assert.True(within.Hidden.narrow(1, 3, 6).allclose(alone.Hidden, rtol: 1e-3, atol: 1e-4));
        Assert.Equal(6, within.Routing[0].TokenCount);
    }

    [Fact]
    public void Forward_DenseLayers_StandWhereTheOptionsSay()
    {
        using var scope = NewDisposeScope();
        var shape = TinyModel.Shape with { LayerCount = 4, DecoderSparseStep = 2, MlpOnlyLayers = [3], DenseSize = 20 };
        using var model = TinyModel.Create(shape.ToDecoder(40, 32, 0));

        var routing = model.call(TinyModel.Tokens(1, 4)).Routing;

        Assert.Equal([false, true, false, false], model.Layers.Select(layer => layer.Moe is not null));
        Assert.Single(routing);
    }

    [Fact]
    public void TiedHead_IsTheEmbedding()
    {
        using var scope = NewDisposeScope();
        using var tied = TinyModel.Create(TinyModel.Options with { TieEmbeddings = true });

        Assert.DoesNotContain(PublishedWeights.Of(tied), weight => weight.Name == "lm_head.weight");
        Assert.Equal(ModelSize.Of(tied.Options).Parameters, tied.parameters().Sum(parameter => parameter.numel()));
    }

    [Fact]
    public void ModelSize_EqualsTheModelsParameters()
    {
        using var scope = NewDisposeScope();
        var shape = TinyModel.Shape with { LayerCount = 3, MlpOnlyLayers = [1], DenseSize = 20 };
        var options = shape.ToDecoder(40, 32, 0);
        using var model = TinyModel.Create(options with { Attention = options.Attention with { HasBias = true } });

        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), ModelSize.Of(model.Options).Parameters);
    }

    [Fact]
    public void Forward_ATokenOutsideTheVocabulary_IsNamed()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModel.Create();

        var error = Assert.Throws<ArgumentException>(() => model.call(full([1, 2], 40, ScalarType.Int64)));

        Assert.StartsWith("Token id 40 is outside the vocabulary of 40; use the model's own tokenizer.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Forward_BFloat16_StaysNearFloat32AndGivesFloat32Gradients()
    {
        using var scope = NewDisposeScope();
        using var exact = TinyModel.Create();
        using var rounded = new DecoderModel(TinyModel.Options, ComputePrecision.BFloat16);
        rounded.Initialize(1);
        var tokens = TinyModel.Tokens(2, 8);

        var loss = TrainingStep.LanguageModelLoss(rounded, rounded.call(tokens).Hidden, tokens);
        GuardedBackward.Run(loss);

        Assert.Equal(TrainingStep.LanguageModelLoss(exact, exact.call(tokens).Hidden, tokens).item<float>(), loss.item<float>(), 0.05);
        Assert.All(rounded.parameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.grad!.dtype));
    }

    private static float[] Logits(DecoderModel model, Tensor tokens) => model.Logits(model.call(tokens).Hidden).data<float>().ToArray();
}
