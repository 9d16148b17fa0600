using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>
/// A byte-level BPE tokenizer: any text becomes ids and the ids the same text again. Reads and writes the files of Hugging Face tokenizers
/// (<c>tokenizer.json</c>, <c>tokenizer_config.json</c>) and gives the ids that they give, whatever the text; the merging is done by
/// Microsoft.ML.Tokenizers. Thread-safe.
/// </summary>
/// <remarks>
/// Ids are those of <c>encode(text, add_special_tokens=False)</c>: special tokens that stand in the text are recognised, none are added, and
/// truncation and padding are not applied. Half a surrogate pair, which upstream refuses, is encoded as U+FFFD.
/// </remarks>
[DebuggerDisplay("{VocabularySize} tokens")]
public sealed class ByteLevelTokenizer
{
    internal const string FileName = "tokenizer.json";

    private readonly byte[] _json;
    private readonly TokenizerConfig _config;
    private readonly bool _composes;
    private readonly AddedTokenSplitter _beforeNormalizing;
    private readonly AddedTokenSplitter _afterNormalizing;
    private readonly Dictionary<int, byte[]> _bytes;
    private readonly WordEncoding _words;
    private readonly ConcurrentBag<WordEncoder> _idleEncoders = [];

    private ByteLevelTokenizer(byte[] json, TokenizerModel model, TokenizerConfig config)
    {
        _json = json;
        _config = config;
        _words = new(model);
        _composes = model.Composes;

        var added = model.AddedTokens.Select(token => token with { Id = model.Vocabulary.GetValueOrDefault(token.Content, token.Id) }).ToList();
        _beforeNormalizing = new(added.Where(token => !token.IsNormalized));
        _afterNormalizing = new(added.Where(token => token.IsNormalized).Select(token => token with { Content = Normalized(token.Content) }));

        _bytes = model.Vocabulary.ToDictionary(entry => entry.Value, entry => ByteAlphabet.Decode(entry.Key));
        foreach (var token in added) _bytes[token.Id] = ByteAlphabet.Decode(token.Content);

        VocabularySize = _bytes.Keys.Max() + 1;
        EndOfTextId = EndOfText.Find(config.EndOfText, added, model.Vocabulary);
        Fingerprint = Convert.ToHexStringLower(SHA256.HashData(json));
    }

    /// <summary>One more than the largest id: the number of rows that an embedding needs.</summary>
    public int VocabularySize { get; }

    /// <summary>
    /// The token that ends a text: <c>eos_token</c> of tokenizer_config.json, else the added token with a usual name
    /// (<c>&lt;|endoftext|&gt;</c>, <c>&lt;/s&gt;</c>, …); null when there is neither.
    /// </summary>
    public int? EndOfTextId { get; }

    /// <summary>The SHA-256 of tokenizer.json: equal for tokenizers that encode alike.</summary>
    public string Fingerprint { get; }

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="fileOrFolder">A tokenizer.json of any name, or the folder of a model; a tokenizer_config.json beside it is read too.</param>
    /// <exception cref="MoeException">
    /// There is no such file, or it holds no byte-level BPE tokenizer that can be encoded with exactly; the message names the field.
    /// </exception>
    public static ByteLevelTokenizer Load(string fileOrFolder)
    {
        ArgumentException.ThrowIfNullOrEmpty(fileOrFolder);
        var file = Directory.Exists(fileOrFolder) ? Path.Combine(fileOrFolder, FileName) : fileOrFolder;
        if (!File.Exists(file)) throw new MoeException($"There is no tokenizer at {file}: expected a tokenizer.json, or a folder that holds one.");

        var json = File.ReadAllBytes(file);
        var model = TokenizerJson.Read(file, json);
        var config = TokenizerConfig.Read(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, TokenizerConfig.FileName));

        return Create(file, json, model, config);
    }

    internal static ByteLevelTokenizer FromTraining(TrainedVocabulary vocabulary, string endOfText)
    {
        var json = TrainedTokenizerJson.Write(vocabulary, endOfText);
        return Create(FileName, json, TokenizerJson.Read(FileName, json), TokenizerConfig.ForTraining(endOfText));
    }

    private static ByteLevelTokenizer Create(string file, byte[] json, TokenizerModel model, TokenizerConfig config)
    {
        try
        {
            return new(json, model, config);
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            throw new MoeException($"{file}: model.vocab and added_tokens contradict each other: {error.Message}", error);
        }
    }

    /// <summary>
    /// Writes tokenizer.json and tokenizer_config.json, which <c>transformers.PreTrainedTokenizerFast</c> loads. A tokenizer that was read is
    /// written as it was.
    /// </summary>
    /// <param name="folder">Where; made when missing.</param>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        AtomicFile.Write(Path.Combine(folder, FileName), stream => stream.Write(_json));
        AtomicFile.Write(Path.Combine(folder, TokenizerConfig.FileName), stream => stream.Write(_config.Json));
    }

    /// <summary>The ids of a text; none for an empty one.</summary>
    public int[] Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>(text.Length / 3 + 1);
        var encoder = _idleEncoders.TryTake(out var idle) ? idle : new WordEncoder(_words);

        var valid = Utf16.WithoutLoneSurrogates(text);

        foreach (var piece in _beforeNormalizing.Split(valid))
        {
            if (piece.TokenId is { } id) ids.Add(id);
            else EncodeNormalized(Normalized(valid.Substring(piece.Start, piece.Length)), encoder, ids);
        }

        _idleEncoders.Add(encoder);
        return [.. ids];
    }

    /// <summary>
    /// The text of the ids. Special tokens appear as they are written; ids outside the vocabulary are left out; bytes that are no UTF-8
    /// become U+FFFD.
    /// </summary>
    public string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var bytes = new List<byte>();
        foreach (var id in ids) bytes.AddRange(TokenBytes(id));

        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }

    /// <summary>The bytes that a token stands for, which may be part of a character; none for an id outside the vocabulary.</summary>
    public ReadOnlySpan<byte> TokenBytes(int id) => _bytes.GetValueOrDefault(id);

    /// <summary>Whether the vocabulary has a token of this id.</summary>
    internal bool HasToken(int id) => _bytes.ContainsKey(id);

    /// <summary>A decoder for tokens that come one by one.</summary>
    public TokenDecoder CreateDecoder() => new(this);

    private void EncodeNormalized(string text, WordEncoder encoder, List<int> ids)
    {
        foreach (var piece in _afterNormalizing.Split(text))
        {
            if (piece.TokenId is { } id) ids.Add(id);
            else encoder.Encode(text.AsSpan(piece.Start, piece.Length), ids);
        }
    }

    private string Normalized(string text) => _composes ? CanonicalComposition.Apply(text) : text;
}
