namespace MoeSharp.Training;

/// <summary>Reads the text that models are trained on.</summary>
public static class TextData
{
    /// <summary>
    /// Reads files, folders and patterns: plain text, Markdown, source code (a document each), JSON lines with a <c>text</c> field (a document a
    /// line), and gzip of any of these. Text is UTF-8, or UTF-16 with a byte order mark. Folders are read recursively without hidden files and
    /// folders, <c>bin</c>, <c>obj</c> and <c>node_modules</c>; links to folders are not followed.
    /// </summary>
    /// <param name="paths">Files, folders, and patterns such as <c>docs/**/*.md</c>. A file that is named twice is read once.</param>
    /// <param name="cancellation">Stops the reading.</param>
    /// <returns>The documents in the order of the paths, within a folder by path: the same on every machine.</returns>
    /// <exception cref="MoeException">
    /// A path is missing, holds no text, or is a binary file; a gzip file is damaged; a line is no JSON or has no text. The message says where.
    /// </exception>
    public static TextCollection Read(IReadOnlyList<string> paths, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(paths);
        if (paths.Count == 0) throw new MoeException("No data was given: name a file, a folder or a pattern.");

        var sources = paths.SelectMany(DataSources.Find).DistinctBy(source => source.Path).ToList();
        var contents = OrderedParallel.Select(sources, DocumentReader.Read, cancellation);

        var documents = contents.OfType<IReadOnlyList<TextDocument>>().SelectMany(content => content).ToList();
        if (documents.Count == 0) throw new MoeException($"There is no text in {string.Join(", ", paths)}: every file is empty or binary.");

        return new(documents, [.. sources.Where((_, i) => contents[i] is null).Select(source => source.Path)]);
    }

    /// <summary>
    /// Reads the XML documentation of the .NET SDK that runs (<c>packs/*.Ref/*/ref/net10.0/*.xml</c>) as prose: a document per type, and in it a
    /// paragraph per member with its name, summary, parameters, result, exceptions and remarks. Tags are stripped: <c>&lt;see cref&gt;</c> becomes
    /// the short name, <c>&lt;c&gt;</c> backticks. A paragraph that says what an earlier one said is left out, wherever it stands, so that text
    /// held out from training was not seen in training under another name.
    /// </summary>
    /// <param name="cancellation">Stops the reading.</param>
    /// <returns>The documents in the order of packs, files and types; each is named as its type, such as <c>System.String</c>.</returns>
    /// <exception cref="MoeException">No SDK, or one without documentation, was found.</exception>
    public static IReadOnlyList<TextDocument> ReadSdkDocumentation(CancellationToken cancellation = default) =>
        SdkDocumentation.Read(SdkDocumentation.FindFiles(SdkDocumentation.Roots()), cancellation);
}
