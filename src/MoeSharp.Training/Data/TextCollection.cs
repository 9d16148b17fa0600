using System.Collections;

namespace MoeSharp.Training;

/// <summary>Documents in a fixed order, and the files that were passed over because they hold no text.</summary>
public sealed class TextCollection : IReadOnlyList<TextDocument>
{
    private readonly IReadOnlyList<TextDocument> _documents;

    internal TextCollection(IReadOnlyList<TextDocument> documents, IReadOnlyList<string> skippedFiles)
    {
        _documents = documents;
        SkippedFiles = skippedFiles;
    }

    /// <summary>Files inside folders or matched by a pattern that are binary: they hold NUL bytes or are not valid UTF-8.</summary>
    public IReadOnlyList<string> SkippedFiles { get; }

    /// <inheritdoc />
    public int Count => _documents.Count;

    /// <inheritdoc />
    public TextDocument this[int index] => _documents[index];

    /// <inheritdoc />
    public IEnumerator<TextDocument> GetEnumerator() => _documents.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
