using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>Continues texts with a language model, one token at a time. One generator serves one text at a time.</summary>
public sealed class TextGenerator
{
    private readonly DecoderModel _model;
    private readonly ByteLevelTokenizer _tokenizer;

    /// <summary>Creates a generator.</summary>
    /// <param name="model">The model; it stays the caller's.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <exception cref="MoeException">The tokenizer has ids that the model lacks.</exception>
    public TextGenerator(DecoderModel model, ByteLevelTokenizer tokenizer)
    {
        if (tokenizer.VocabularySize > model.Options.VocabularySize)
            throw new MoeException($"The tokenizer has {tokenizer.VocabularySize} tokens, the model {model.Options.VocabularySize}; use the model's own tokenizer.");
        _model = model;
        _tokenizer = tokenizer;
    }

    /// <summary>
    /// Receives the routing of every forward pass; null (the default) for none. It stays the caller's; make it with
    /// <see cref="DecoderModel.TraceHeader"/>. The step of an entry is the position of the token that the pass predicts.
    /// </summary>
    public RoutingTraceWriter? Trace { get; init; }

    /// <summary>Hears the position, the inputs and the plans of every pass, instead of <see cref="Trace"/>.</summary>
    internal Action<long, Tensor, IEnumerable<RoutingPlan>>? OnRouted { get; init; }

    /// <summary>Continues a text; ends at the model's end-of-text token, at <see cref="SamplingOptions.MaxNewTokens"/>, or at the model's longest sequence.</summary>
    /// <param name="prompt">The text; empty for one from nothing.</param>
    /// <param name="options">How to choose tokens.</param>
    /// <param name="cancellationToken">Ends the text between tokens.</param>
    /// <returns>The new tokens as they come. A token's text is empty while it is only part of a character.</returns>
    /// <exception cref="ArgumentException">The options have faults.</exception>
    /// <exception cref="MoeException">The prompt is longer than the model's longest sequence.</exception>
    public IEnumerable<GeneratedToken> Generate(string prompt, SamplingOptions options, CancellationToken cancellationToken = default)
    {
        var sampler = new TokenSampler(options);
        List<long> tokens = [.. Start(prompt)];
        int room = _model.Options.MaxPositions - tokens.Count;
        if (room < 0) throw new MoeException($"The prompt has {tokens.Count} tokens; the model holds {_model.Options.MaxPositions}. Shorten the prompt.");

        return Continue(tokens, Math.Min(options.MaxNewTokens, room), options.UseCache, sampler, cancellationToken);
    }

    /// <summary>Texts begin with the end-of-text id in training, so prompts do too.</summary>
    private IEnumerable<long> Start(string prompt)
    {
        IEnumerable<long> text = _tokenizer.Encode(prompt).Select(id => (long)id);
        return (_model.Options.BeginOfTextId ?? _tokenizer.EndOfTextId) is { } begin ? text.Prepend(begin) : text;
    }

    private IEnumerable<GeneratedToken> Continue(List<long> tokens, int count, bool useCache, TokenSampler sampler, CancellationToken cancellationToken)
    {
        using var cache = useCache && count > 0 ? _model.CreateCache(tokens.Count + count) : null;
        var decoder = _tokenizer.CreateDecoder();
        var onRouted = OnRouted ?? (Trace is null ? null : new RoutingRecorder(_model, Trace).Record);

        for (int i = 0; i < count && !cancellationToken.IsCancellationRequested; i++)
        {
            var (id, probability) = sampler.Choose(NextLogits(_model, tokens, cache, onRouted));
            if (id == _model.Options.EndOfTextId) break;

            tokens.Add(id);
            yield return new GeneratedToken(id, decoder.Push(id), probability);
        }

        if (decoder.Flush() is { Length: > 0 } rest) yield return new GeneratedToken(-1, rest, 0);
    }

    /// <summary>The logits [V] of the token after <paramref name="tokens"/>; with a cache only what it does not hold is computed.</summary>
    internal static float[] NextLogits(
        DecoderModel model, IReadOnlyList<long> tokens, KeyValueCache? cache, Action<long, Tensor, IEnumerable<RoutingPlan>>? onRouted = null)
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();

        long[] fresh = [.. tokens.Skip((int)(cache?.Length ?? 0))];
        var inputs = tensor(fresh, [1, fresh.Length]);
        var (hidden, routing) = model.forward(inputs, mask: null, cache);
        onRouted?.Invoke(tokens.Count, inputs, routing.Select(layer => layer.Plan));
        return model.Logits(hidden.select(1, -1)).data<float>().ToArray();
    }
}

/// <summary>One token of a generated text.</summary>
/// <param name="Id">Its id; -1 for what is left of an unfinished character at the end.</param>
/// <param name="Text">The characters that it completes; may be empty.</param>
/// <param name="LogProbability">Its log-probability under the model, in nats.</param>
public sealed record GeneratedToken(int Id, string Text, double LogProbability);
