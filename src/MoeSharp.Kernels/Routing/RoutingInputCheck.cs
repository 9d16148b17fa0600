namespace MoeSharp;

/// <summary>What the routing kernel accepts, checked once at its border.</summary>
internal static class RoutingInputCheck
{
    public static void Check(in RoutingInput input, MoeOptions options)
    {
        var router = options.Router;
        if (input.Sequences < 0 || input.SequenceLength < 0) throw new ArgumentException($"There are {input.Sequences} sequences of {input.SequenceLength} tokens; neither can be negative.");
        int tokens = checked(input.Sequences * input.SequenceLength), experts = router.ExpertCount;

        Length("Logits", input.Logits.Length, checked(tokens * experts), $"{input.Sequences} · {input.SequenceLength} tokens · {experts} experts");
        if (router.HasCorrectionBias) Values("CorrectionBias", input.CorrectionBias, experts);
        if (router.HasPerExpertScale) Values("PerExpertScale", input.PerExpertScale, experts);
        if (router.Select is Selection.QuantileBalance) Values("QuantileBias", input.QuantileBias, experts);
        if (!input.Mask.IsEmpty) Length("Mask", input.Mask.Length, tokens, "one value per token");
        if (input.Draws is { } draws) Check(draws, tokens, experts);
    }

    /// <summary>Checks what only the selection of experts reads, which a plan has made already.</summary>
    public static void CheckSelection(in RoutingInput input, MoeOptions options)
    {
        var router = options.Router;
        int tokens = input.Sequences * input.SequenceLength;
        bool masksRouting = options.MaskScope == MaskScope.All && !input.Mask.IsEmpty;      // a masked token is not routed
        if (!input.Experts.IsEmpty) Ids(input, tokens, router.ExpertCount, router.Select is Selection.SparseMixer, masksRouting);
        else if (router.Select is Selection.Forced && tokens > 0) throw new ArgumentException("The router's selection is Forced, but no experts were given; give experts [tokens, K] with every call.");
        else if (router.Select is Selection.TokenTable table) Table(input, table.VocabularySize, router, tokens, masksRouting);
    }

    public static void CheckScores(ReadOnlySpan<float> scores, int kept)
    {
        if (!scores.IsEmpty) Length("Scores", scores.Length, kept, "RoutingKernel.KeptScores");
    }

    public static void CheckPlan(RoutingPlan plan, in RoutingInput input, RouterOptions router)
    {
        int tokens = input.Sequences * input.SequenceLength;
        if (plan.TokenCount == tokens && plan.ExpertCount == router.ExpertCount) return;

        throw new ArgumentException($"The plan is of {plan.TokenCount} tokens and {plan.ExpertCount} experts; expected {tokens} and {router.ExpertCount}: give the plan that Route made of this input.");
    }

    public static void Check(in RoutingUpstream upstream, in RoutingGradients gradients, RoutingPlan plan, RoutingKernel kernel, in RoutingInput input)
    {
        if (!upstream.Weights.IsEmpty) Length("Weights", upstream.Weights.Length, plan.Weights.Length, "one value per pair");
        int sums = kernel.Kinds.Count * kernel.Groups(input.Sequences, input.SequenceLength).Groups * plan.ExpertCount;
        if (!upstream.Scores.IsEmpty) Length("Scores", upstream.Scores.Length, sums, "kinds · groups · experts");
        Length("Logits", gradients.Logits.Length, input.Logits.Length, "as the logits");
        var router = kernel.Options.Router;
        if (!gradients.PerExpertScale.IsEmpty) Length("PerExpertScale", gradients.PerExpertScale.Length, router.HasPerExpertScale ? plan.ExpertCount : 0, "one value per expert if the router has a scale");
        if (!gradients.CorrectionBias.IsEmpty) Length("CorrectionBias", gradients.CorrectionBias.Length, router.HasCorrectionBias ? plan.ExpertCount : 0, "one value per expert if the router has a bias");
    }

    private static void Length(string name, int length, int expected, string meaning)
    {
        if (length != expected) throw new ArgumentException($"{name} has {length} values; expected {expected} ({meaning}).");
    }

    private static void Values(string name, ReadOnlySpan<float> values, int experts)
    {
        Length(name, values.Length, experts, "one per expert");
        for (int e = 0; e < experts; e++)
        {
            if (float.IsNaN(values[e])) throw new MoeException($"{name} of expert {e} is not a number; look for the step of training that made it so.");
        }
    }

    private static void Check(SparseMixerDraws draws, int tokens, int experts)
    {
        for (int round = 0; round < 2; round++)
        {
            Length($"Draws.Exponentials[{round}]", draws.Exponentials[round].Length, tokens * experts, "tokens · experts");
            Length($"Draws.Uniforms[{round}]", draws.Uniforms[round].Length, tokens, "one per token");
        }
    }

    private static void Ids(in RoutingInput input, int tokens, int experts, bool isSparseMixer, bool masksRouting)
    {
        var given = input.Experts;
        if (tokens == 0 || given.Length % tokens != 0) throw new ArgumentException($"There are {given.Length} given experts for {tokens} tokens; expected the same number for each token, -1 for none.");

        int width = given.Length / tokens;
        if (isSparseMixer && width != 2) throw new ArgumentException($"Each token was given {width} experts, but SparseMixer takes two.");
        for (int i = 0; i < given.Length; i++)
        {
            if (given[i] < -1 || given[i] >= experts)
                throw new ArgumentException($"The expert given to token {i / width} is {given[i]}; expected 0..{experts - 1}, or -1 for none. Are they from another model?");
            if (isSparseMixer && given[i] < 0 && (!masksRouting || input.Mask[i / width])) throw new ArgumentException($"Token {i / width} was given fewer than two experts, but SparseMixer takes two.");
            for (int j = i - i % width; j < i; j++)
            {
                if (given[i] >= 0 && given[i] == given[j]) throw new ArgumentException($"Token {i / width} was given expert {given[i]} twice; a token meets an expert at most once.");
            }
        }
    }

    private static void Table(in RoutingInput input, int vocabulary, RouterOptions router, int tokens, bool masksRouting)
    {
        Length("TokenIds", input.TokenIds.Length, tokens, "one per token, for the token table");
        Length("Table", input.Table.Length, checked(vocabulary * router.TopK), $"{vocabulary} token ids · {router.TopK} experts");
        for (int token = 0; token < tokens; token++)
        {
            long id = input.TokenIds[token];
            if (masksRouting && !input.Mask[token]) continue;
            if (id < 0 || id >= vocabulary) throw new ArgumentException($"The id of token {token} is {id}, but the token table has rows 0..{vocabulary - 1}; use the model's own tokenizer.");

            Experts(input.Table.Slice((int)id * router.TopK, router.TopK), id, router, parameter: null);     // not the others: a table is large, and a call may be of one token
        }
    }

    /// <summary>Throws unless rows of a token table [V, K], those from <paramref name="firstId"/> on, have experts only.</summary>
    /// <exception cref="ArgumentException">There is no such expert.</exception>
    public static void Experts(ReadOnlySpan<long> rows, long firstId, RouterOptions router, string? parameter)
    {
        if (rows.IndexOfAnyExceptInRange(0, router.ExpertCount - 1) is >= 0 and var pair)
            throw new ArgumentException($"The token table sends id {firstId + pair / router.TopK} to expert {rows[pair]}; expected 0..{router.ExpertCount - 1}.", parameter);
    }
}
