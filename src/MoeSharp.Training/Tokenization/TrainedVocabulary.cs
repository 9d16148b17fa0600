namespace MoeSharp.Training;

/// <summary>The tokens of a vocabulary in training, by id, and the merges that made them.</summary>
internal sealed class TrainedVocabulary
{
    private readonly List<string> _tokens = [];
    private readonly Dictionary<string, int> _ids = [];
    private readonly Dictionary<TokenPair, int> _ranks = [];
    private int _mergeCount;

    public TrainedVocabulary(string endOfText)
    {
        Add(endOfText);
        foreach (var character in ByteAlphabet.Sorted) Add(character.ToString());
    }

    public int Count => _tokens.Count;

    public IReadOnlyList<string> Tokens => _tokens;

    /// <summary>The merges as pairs of tokens, the one to apply first in front.</summary>
    public IEnumerable<(string Left, string Right)> Merges =>
        _ranks.OrderBy(merge => merge.Value).Select(merge => (_tokens[merge.Key.Left], _tokens[merge.Key.Right]));

    public int IdOf(char character) => _ids[character.ToString()];

    /// <summary>
    /// Records a merge and returns the id of what it makes: a new one, unless another merge made the same token ('ab' + 'c', then
    /// 'a' + 'bc'). The same merge recorded twice keeps its later rank, as upstream.
    /// </summary>
    public int Merge(TokenPair pair)
    {
        var token = _tokens[pair.Left] + _tokens[pair.Right];
        _ranks[pair] = _mergeCount++;

        return _ids.TryGetValue(token, out var id) ? id : Add(token);
    }

    private int Add(string token)
    {
        _ids.Add(token, _tokens.Count);
        _tokens.Add(token);
        return _tokens.Count - 1;
    }
}
