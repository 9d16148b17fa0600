using System.Text.Json;

namespace MoeSharp.Training;

/// <summary>Reads tokenizer.json of Hugging Face tokenizers, byte-level BPE only; anything else is refused, naming the field.</summary>
internal static class TokenizerJson
{
    /// <summary>Reads a tokenizer.</summary>
    /// <param name="file">The file's name, for messages.</param>
    /// <param name="json">Its content.</param>
    /// <exception cref="MoeException">Not a byte-level BPE tokenizer, or one that this library would not encode with exactly.</exception>
    public static TokenizerModel Read(string file, byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(WithoutMark(json));
            return new Reader(file).Read(document.RootElement);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new MoeException($"{file} is not a tokenizer.json of Hugging Face tokenizers: {error.Message}", error);
        }
    }

    private static ReadOnlyMemory<byte> WithoutMark(byte[] json) => json is [0xEF, 0xBB, 0xBF, ..] ? json.AsMemory(3) : json;

    private sealed class Reader(string file)
    {
        public TokenizerModel Read(JsonElement root)
        {
            var fields = new TokenizerFields(file);
            var model = fields.Object(root, "model");
            CheckModel(fields, model);
            var vocabulary = model.GetProperty("vocab").EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.GetInt32());
            var splitting = PreTokenizerJson.Read(fields, root);
            CheckDecoder(fields, root);

            return new()
            {
                Vocabulary = vocabulary,
                Merges = Merges(model.GetProperty("merges"), vocabulary),
                AddedTokens = AddedTokens(root),
                Splitter = splitting.Splitter,
                AddsPrefixSpace = splitting.AddsPrefixSpace,
                Composes = NormalizerJson.IsComposing(fields, root),
                IgnoresMerges = TokenizerFields.Flag(model, "ignore_merges"),
                UnknownToken = TokenizerFields.Text(model, "unk_token") is { } unknown && vocabulary.ContainsKey(unknown) ? unknown : null,
                FusesUnknown = TokenizerFields.Flag(model, "fuse_unk"),
            };
        }

        private static void CheckModel(TokenizerFields fields, JsonElement model)
        {
            // files of before 2021 name no type
            var type = TokenizerFields.Text(model, "type") ?? (model.TryGetProperty("merges", out _) ? "BPE" : "none");
            if (type != "BPE") throw fields.Unsupported("model.type", type, "BPE");
            if (TokenizerFields.Flag(model, "byte_fallback")) throw fields.Unsupported("model.byte_fallback", "true", "false");

            if (model.TryGetProperty("dropout", out var dropout) && dropout.ValueKind == JsonValueKind.Number && dropout.GetDouble() > 0)
            {
                throw fields.Unsupported("model.dropout", dropout.GetRawText(), "null: encoding must not be random");
            }

            foreach (var field in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            {
                if (TokenizerFields.Text(model, field) is { Length: > 0 } affix) throw fields.Unsupported($"model.{field}", affix, "null");
            }
        }

        private static void CheckDecoder(TokenizerFields fields, JsonElement root)
        {
            var decoders = TokenizerFields.Sequence(root, "decoder", "decoders").ToList();
            if (decoders is [var only] && TokenizerFields.Text(only, "type") == "ByteLevel") return;

            var types = string.Join(", ", decoders.Select(decoder => TokenizerFields.Text(decoder, "type")));
            throw fields.Unsupported("decoder.type", types, "ByteLevel");
        }

        private List<(string Left, string Right)> Merges(JsonElement merges, Dictionary<string, int> vocabulary)
        {
            var ranks = new Dictionary<(string, string), int>();
            var rank = 0;

            foreach (var merge in merges.EnumerateArray())
            {
                var pair = Pair(merge, rank);
                foreach (var token in (string[])[pair.Left, pair.Right, pair.Left + pair.Right])
                {
                    if (vocabulary.ContainsKey(token)) continue;
                    throw new MoeException($"{file}: model.merges[{rank}] needs the token '{token}', which model.vocab lacks.");
                }

                ranks[pair] = rank++;            // a pair listed twice has its later rank
            }

            return [.. ranks.OrderBy(merge => merge.Value).Select(merge => merge.Key)];
        }

        // "a b" until tokenizers 0.19, ["a", "b"] since
        private (string Left, string Right) Pair(JsonElement merge, int rank)
        {
            var parts = merge.ValueKind == JsonValueKind.String
                ? merge.GetString()!.Split(' ')
                : [.. merge.EnumerateArray().Select(part => part.GetString()!)];

            if (parts is [{ Length: > 0 } left, { Length: > 0 } right] && !left.Contains(' ') && !right.Contains(' ')) return (left, right);
            throw new MoeException($"{file}: model.merges[{rank}] is {merge.GetRawText()}; expected two tokens, \"a b\" or [\"a\", \"b\"].");
        }

        private static List<AddedToken> AddedTokens(JsonElement root) =>
            root.TryGetProperty("added_tokens", out var tokens) && tokens.ValueKind == JsonValueKind.Array
                ? [.. tokens.EnumerateArray().Select(AddedToken).Where(token => token.Content.Length > 0)]
                : [];

        private static AddedToken AddedToken(JsonElement token) => new(token.GetProperty("id").GetInt32(), token.GetProperty("content").GetString()!)
        {
            IsSpecial = TokenizerFields.Flag(token, "special"),
            IsNormalized = TokenizerFields.Flag(token, "normalized"),
            StripsLeft = TokenizerFields.Flag(token, "lstrip"),
            StripsRight = TokenizerFields.Flag(token, "rstrip"),
            IsSingleWord = TokenizerFields.Flag(token, "single_word"),
        };
    }
}
