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

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Generate_Traced_RecordsEachPassAtThePositionOfItsToken(bool useCache)
    {
        using var folder = new TemporaryFolder();
        using var model = Model();
        using (var trace = new RoutingTraceWriter(folder.File("text.trace"), model.TraceHeader("test")))
        {
            Assert.Equal(4, new TextGenerator(model, Tokenizer) { Trace = trace }.Generate("!!", new() { Temperature = 1, MaxNewTokens = 4, UseCache = useCache }).Count(token => token.Id >= 0));
            trace.Complete();
        }

        using var reader = RoutingTraceReader.Open(folder.File("text.trace"));
        var entries = reader.ReadEntries().ToArray();
        int start = 1 + Tokenizer.Encode("!!").Length;      // texts begin with the end of one
        Assert.Equal([new(0, 4, 2), new(1, 4, 2)], reader.Header.Layers);
        Assert.Equal(from pass in Enumerable.Range(0, 4) from layer in (int[])[0, 1] select ((long)start + pass, layer), entries.Select(entry => (entry.Step, entry.Layer)));
        Assert.Equal(Enumerable.Range(0, 4).Select(pass => pass > 0 && useCache ? 1 : start + pass), entries.Where(entry => entry.Layer == 0).Select(entry => entry.Tokens));
    }

    [Fact]
    public void Generator_ATokenizerThatIsTooLarge_IsRefused()
    {
        using var model = TinyModel.Create();

        Assert.Equal("The tokenizer has 700 tokens, the model 40; use the model's own tokenizer.", Assert.Throws<MoeException>(() => new TextGenerator(model, Tokenizer)).Message);
    }

    private static DecoderModel Model() => TinyModel.Create(TinyModel.Shape.ToDecoder(Tokenizer.VocabularySize, 32, Tokenizer.EndOfTextId));
}
