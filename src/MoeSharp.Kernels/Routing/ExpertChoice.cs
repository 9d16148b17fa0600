namespace MoeSharp;

/// <summary>The selection in which experts choose tokens.</summary>
internal static class ExpertChoice
{
    /// <summary>The experts of every token, ascending, when each expert takes its best tokens of every scope.</summary>
    /// <param name="scores">The scores [T, E].</param>
    /// <param name="experts">The number E.</param>
    /// <param name="scopes">The scopes, in tokens.</param>
    /// <param name="slots">The tokens that an expert takes per scope.</param>
    /// <param name="isRouted">Whether a token may be chosen.</param>
    public static List<int>[] Choose(float[] scores, int experts, IReadOnlyList<Range> scopes, int slots, Func<int, bool> isRouted)
    {
        var chosen = new bool[scores.Length];
        WorkerPool.Shared.ForEach(experts, expert =>
        {
            foreach (var scope in scopes) ChooseTokens(scores, chosen, experts, expert, scope, slots, isRouted);
        });

        return [.. chosen.Chunk(experts).Select(row => Enumerable.Range(0, experts).Where(expert => row[expert]).ToList())];
    }

    private static void ChooseTokens(float[] scores, bool[] chosen, int experts, int expert, Range scope, int slots, Func<int, bool> isRouted)
    {
        int[] tokens = [.. Enumerable.Range(scope.Start.Value, scope.End.Value - scope.Start.Value).Where(isRouted)];
        float[] worst = Array.ConvertAll(tokens, token => -scores[token * experts + expert]);
        Array.Sort(worst, tokens, Comparer<float>.Default);

        // the sort is not stable: ties at the end go to the earlier token
        int taken = Math.Min(slots, tokens.Length);
        if (taken == 0) return;
        float last = worst[taken - 1];
        int sure = Array.FindIndex(worst, value => value == last);
        foreach (int token in tokens.Take(sure)) chosen[token * experts + expert] = true;
        foreach (int token in tokens.Skip(sure).Take(Array.FindLastIndex(worst, value => value == last) + 1 - sure).Order().Take(taken - sure)) chosen[token * experts + expert] = true;
    }
}
