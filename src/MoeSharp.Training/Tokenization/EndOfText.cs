namespace MoeSharp.Training;

/// <summary>Finds the token that ends a text.</summary>
internal static class EndOfText
{
    private static readonly string[] UsualNames =
        ["<|endoftext|>", "<|end_of_text|>", "</s>", "<|eot_id|>", "<|im_end|>", "<｜end▁of▁sentence｜>", "<eos>", "<|return|>"];

    /// <summary>The id of the configured token, else of the first added token with a usual name.</summary>
    public static int? Find(string? configured, IReadOnlyList<AddedToken> added, IReadOnlyDictionary<string, int> vocabulary) =>
        UsualNames.Prepend(configured).OfType<string>().Select(name => Id(name, added, vocabulary)).FirstOrDefault(id => id is not null);

    private static int? Id(string content, IReadOnlyList<AddedToken> added, IReadOnlyDictionary<string, int> vocabulary) =>
        added.FirstOrDefault(token => token.Content == content)?.Id ?? (vocabulary.TryGetValue(content, out var id) ? id : null);
}
