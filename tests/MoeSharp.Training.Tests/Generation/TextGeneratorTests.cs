using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class TextGeneratorTests
{
    private static readonly ByteLevelTokenizer Tokenizer = ByteLevelTokenizer.Load(Fixtures.Path("tokenizer", "tokenizer.json"));

    [Fact]
    public void Generate_TemperatureZero_IsTheSameWithAndWithoutTheCache()
    {
        using var model = Model();
        var generator = new TextGenerator(model, Tokenizer);
        int[] Ids(bool useCache) => [.. generator.Generate("The router", new() { Temperature = 0, MaxNewTokens = 20, UseCache = useCache }).Select(token => token.Id)];

        Assert.Equal(Ids(useCache: false), Ids(useCache: true));
    }

    [Fact]
    public void Generate_EqualSeeds_GiveEqualTexts()
    {
        using var model = Model();
        var generator = new TextGenerator(model, Tokenizer);
        string Text(int seed) => string.Concat(generator.Generate("x", new() { Temperature = 1, MaxNewTokens = 15, Seed = seed }).Select(token => token.Text));

        Assert.Equal(Text(3), Text(3));
        Assert.NotEqual(Text(3), Text(4));
    }

    [Fact]
    public void Generate_UpToTheModelsLongestSequence_Ends()
    {
        using var model = Model();

        int count = new TextGenerator(model, Tokenizer).Generate("", new() { Temperature = 0, MaxNewTokens = 500 }).Count(token => token.Id >= 0);

        Assert.InRange(count, 1, model.Options.MaxPositions - 1);
    }

    [Fact]
    public void Generate_APromptThatIsTooLong_IsRefused()
    {
        using var model = Model();

        var error = Assert.Throws<MoeException>(() => new TextGenerator(model, Tokenizer).Generate(new string('!', 300), new()));

        Assert.Matches(@"^The prompt has \d+ tokens; the model holds 32\. Shorten the prompt\.$", error.Message);
    }

    [Fact]
    public void Generate_Cancelled_EndsTheText()
    {
        using var model = Model();
        using var stop = new CancellationTokenSource();

        int count = 0;
        foreach (var _ in new TextGenerator(model, Tokenizer).Generate("a", new() { Temperature = 1, MaxNewTokens = 25 }, stop.Token))
        {
            if (++count == 3) stop.Cancel();
        }

        Assert.InRange(count, 3, 4);      // what is left of a character may follow
    }

    [Fact]
    public void Generator_ATokenizerThatIsTooLarge_IsRefused()
    {
        using var model = TinyModel.Create();

        Assert.Equal("The tokenizer has 700 tokens, the model 40; use the model's own tokenizer.", Assert.Throws<MoeException>(() => new TextGenerator(model, Tokenizer)).Message);
    }

    private static DecoderModel Model() => TinyModel.Create(TinyModel.Shape.ToDecoder(Tokenizer.VocabularySize, 32, Tokenizer.EndOfTextId));
}
