#pragma warning disable CS1591, CA1822, CA1032, IDE0060, CA2213, CA1805
namespace MoeSharp.Training;

public sealed class ByteLevelTokenizer
{
    public int VocabularySize => throw new NotSupportedException();

    public int? EndOfTextId => throw new NotSupportedException();

    public string Fingerprint => throw new NotSupportedException();

    public static ByteLevelTokenizer Load(string fileOrFolder) => throw new NotSupportedException();

    public void Save(string folder) => throw new NotSupportedException();

    public int[] Encode(string text) => throw new NotSupportedException();

    public string Decode(IEnumerable<int> ids) => throw new NotSupportedException();
}

public sealed record BpeTrainerOptions
{
    public required int VocabularySize { get; init; }

    public int MinimumFrequency { get; init; } = 2;

    public string EndOfText { get; init; } = "<|endoftext|>";
}

public static class BpeTrainer
{
    public static ByteLevelTokenizer Train(IEnumerable<string> texts, BpeTrainerOptions options, IProgress<double>? progress = null, CancellationToken cancellationToken = default) =>
        throw new NotSupportedException();
}

public sealed record TextDocument(string Name, string Text);

public static class TextData
{
    public static IReadOnlyList<TextDocument> Read(IReadOnlyList<string> paths, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public static IReadOnlyList<TextDocument> ReadSdkDocumentation(CancellationToken cancellationToken = default) => throw new NotSupportedException();
}

public sealed record TrainingRun
{
    public required string Output { get; init; }

    public IReadOnlyList<string> Data { get; init; } = [];

    public string? Tokenizer { get; init; }

    public string? Resume { get; init; }

    public bool Force { get; init; }

    public int? Threads { get; init; }
}

public sealed class StoppedException(int step, string folder) : OperationCanceledException($"Stopped after step {step}; {folder} holds the run.")
{
    public int Step { get; } = step;

    public string Folder { get; } = folder;
}

public sealed class Trainer(TrainingOptions options, TrainingRun run)
{
    public TrainingSummary Run(IProgress<TrainingEvent>? progress, CancellationToken stop) => throw new NotSupportedException($"{options} {run}");
}

public sealed class DecoderModel : IDisposable
{
    public static DecoderModel Load(string folder) => throw new NotSupportedException();

    public void Dispose()
    {
    }
}

public sealed record SamplingOptions
{
    public int MaxNewTokens { get; init; } = 128;

    public double Temperature { get; init; } = 0.8;

    public int? TopK { get; init; }

    public double? TopP { get; init; }

    public int Seed { get; init; }

    public bool UseCache { get; init; } = true;
}

public sealed record GeneratedToken(int Id, string Text, double LogProbability);

public sealed class TextGenerator(DecoderModel model, ByteLevelTokenizer tokenizer)
{
    public IEnumerable<GeneratedToken> Generate(string prompt, SamplingOptions options, CancellationToken cancellationToken = default) => throw new NotSupportedException($"{model} {tokenizer}");
}

public static class CaseVerifier
{
    public static VerifyReport Verify(string path, CancellationToken cancellationToken = default) => throw new NotSupportedException();
}

public sealed record VerifyRow(string Tensor, IReadOnlyList<long> Shape, double Error, double Limit, bool Passed);

public sealed record VerifyReport(string Path, string Kind, IReadOnlyList<VerifyRow> Rows, IReadOnlyList<string> Skipped)
{
    public bool Passed => Rows.All(row => row.Passed);
}
