using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>The calls into the library that do a command's work, in one place so that tests can put scripted ones in theirs.</summary>
internal sealed record Engine
{
    public Func<TrainingOptions, TrainingRun, IProgress<TrainingEvent>, CancellationToken, TrainingSummary> Train { get; init; } =
        (options, run, progress, stop) => new Trainer(options, run).Run(progress, stop);

    /// <summary>From a checkpoint's folder, a prompt, sampling options and a file for the routing trace (null for none) to tokens, one by one.</summary>
    public Func<string, string, SamplingOptions, string?, CancellationToken, IEnumerable<GeneratedToken>> Generate { get; init; } = GenerateFrom;

    public Func<string, CancellationToken, VerifyReport> Verify { get; init; } = CaseVerifier.Verify;

    /// <summary>Writes an example of a case to a path.</summary>
    public Action<ExampleCase, string> Export { get; init; } = (example, path) => example.Write(path);

    /// <summary>Trains a tokenizer on paths to a vocabulary and saves it in a folder.</summary>
    public Func<IReadOnlyList<string>, int, string, CancellationToken, ByteLevelTokenizer> TrainTokenizer { get; init; } = TrainTokenizerOn;

    /// <summary>What <c>bench layer</c> compares; the first with all others.</summary>
    public IReadOnlyList<LayerEngine> Layers { get; init; } = LayerEngine.All;

    /// <summary>Lists the kernels that compute here.</summary>
    public Func<KernelListing> Kernels { get; init; } = KernelListing.OfProcess;

    /// <summary>Sets how many threads the library computes with.</summary>
    public Action<int> UseThreads { get; init; } = ComputeThreads.Use;

    private static IEnumerable<GeneratedToken> GenerateFrom(string folder, string prompt, SamplingOptions options, string? trace, CancellationToken stop)
    {
        using var model = ModelCheckpoint.Load(folder);
        var tokenizer = ByteLevelTokenizer.Load(folder);
        using var recorded = trace is null ? null : RoutingTraceFile.Create(trace, model, model.TraceHeader($"generate {folder}"));
        var generator = new TextGenerator(model, tokenizer) { OnRouted = recorded is null ? null : recorded.Record };

        try
        {
            foreach (var token in generator.Generate(prompt, options, stop)) yield return token;
        }
        finally
        {
            recorded?.Complete();
        }
    }

    private static ByteLevelTokenizer TrainTokenizerOn(IReadOnlyList<string> paths, int vocabularySize, string folder, CancellationToken stop)
    {
        var texts = TextData.Read(paths, stop).Select(document => document.Text);
        var tokenizer = BpeTrainer.Train(texts, new() { VocabularySize = vocabularySize }, progress: null, stop);
        tokenizer.Save(folder);

        return tokenizer;
    }
}
