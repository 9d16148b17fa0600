namespace MoeSharp.Checkpoints;

/// <summary>
/// What a model in a folder is: its config, its tensors by kind and number format, and how many parameters it has in all and for one token. Made of
/// the config and the headers of the files; of the data only scales are read, where they are few.
/// </summary>
public sealed record ModelReport
{
    /// <summary>The folder.</summary>
    public required string Path { get; init; }

    /// <summary>What the config says.</summary>
    public required ModelDescription Model { get; init; }

    /// <summary>All tensors, file by file in the order of their bytes.</summary>
    public required IReadOnlyList<TensorReport> Tensors { get; init; }

    /// <summary>The kinds of tensors that there are.</summary>
    public required IReadOnlyList<KindReport> Kinds { get; init; }

    /// <summary>The files.</summary>
    public required IReadOnlyList<FileReport> Files { get; init; }

    /// <summary>The MoE layers: equal ones together, in the order of their first.</summary>
    public required IReadOnlyList<MoeLayersReport> MoeLayers { get; init; }

    /// <summary>The parameters of the language model, without <see cref="TensorKind.Extras"/>. Tied embeddings count once.</summary>
    public required long Parameters { get; init; }

    /// <summary>The same without the experts that a token does not choose: of the E experts of a layer it chooses K.</summary>
    public required long ActiveParameters { get; init; }

    /// <summary>The scales of quantized weights; null when there are none.</summary>
    public required ScaleReport? Scales { get; init; }

    /// <summary>What is odd but harmless, a sentence each.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>All tensors.</summary>
    public required TensorTotals Totals { get; init; }

    /// <summary>Reads a folder or a GGUF file as strictly as <see cref="MoeCheckpoint.Open"/>, and checks the quantized weights that are in no MoE layer as well.</summary>
    /// <param name="path">A folder with a <c>config.json</c> and weights, or a GGUF file.</param>
    /// <exception cref="CheckpointException">A file is damaged, of no known family, or config and tensors disagree; one message lists all that is wrong.</exception>
    public static ModelReport Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);

        if (MoeCheckpoint.IsGguf(path))
        {
            using var gguf = MoeCheckpoint.Open(path);
            return ModelReportBuilder.OfGguf(gguf, (GgufFile)gguf.Tensors).Build();
        }

        using var checkpoint = MoeCheckpoint.OpenFolder(path, ScaleReport.Limit, out var files, out var weights);
        return ModelReportBuilder.OfFolder(checkpoint, files, weights).Build();
    }
}

/// <summary>MoE layers that compute the same.</summary>
/// <param name="Layers">Their indices.</param>
/// <param name="Options">What they compute.</param>
public sealed record MoeLayersReport(IReadOnlyList<int> Layers, MoeOptions Options)
{
    /// <summary>The layers in words, such as <c>3-60</c>.</summary>
    public string Range => LayerRanges.Words(Layers);

    /// <summary>The router in words, such as <c>sigmoid scores + correction bias, top 8, renormalised, x 2.5</c>.</summary>
    public string Router => RouterWords.Of(Options.Router);
}
