namespace MoeSharp;

/// <summary>Counts the differences of two traces; see <see cref="RoutingTraceComparison"/>.</summary>
internal sealed class RoutingTraceComparer
{
    private const int MostMismatches = 100;

    private readonly List<string> _mismatches = [];
    private long _mismatchCount;
    private long _entries;
    private long _tokens;
    private long _otherExperts;
    private long _shared;
    private long _otherWeights;
    private double _largest;
    private long _otherDropped;
    private RoutingTraceDifference? _first;

    public void CompareHeaders(RoutingTraceHeader first, RoutingTraceHeader second)
    {
        var others = second.Layers.ToDictionary(layer => layer.Layer);
        foreach (var layer in first.Layers)
        {
            if (!others.Remove(layer.Layer, out var other)) Mismatch($"layer {layer.Layer} is in the first trace only");
            else if (layer != other) Mismatch($"layer {layer.Layer} chooses {layer.TopK} of {layer.ExpertCount} experts in the first trace, {other.TopK} of {other.ExpertCount} in the second");
        }

        foreach (int layer in others.Keys.Order()) Mismatch($"layer {layer} is in the second trace only");
    }

    public void CompareEntries(IEnumerable<RoutingTraceEntry> first, IEnumerable<RoutingTraceEntry> second)
    {
        using var left = new Side(first);
        using var right = new Side(second);
        bool isMore = true;
        while (isMore)
        {
            isMore = left.Advance() | right.Advance(); // both: the longer one goes on alone
            if (left.TakeNewest(right, out var key, out var mine, out var theirs)) Compare(key, mine, theirs);
            if (right.TakeNewest(left, out key, out theirs, out mine)) Compare(key, mine, theirs);
        }

        foreach (var key in left.Waiting) Mismatch($"{key} is in the first trace only");
        foreach (var key in right.Waiting) Mismatch($"{key} is in the second trace only");
    }

    public RoutingTraceComparison ToComparison() => new()
    {
        Entries = _entries,
        Tokens = _tokens,
        TokensWithOtherExperts = _otherExperts,
        SharedChoices = _shared,
        WeightsThatDiffer = _otherWeights,
        LargestWeightDifference = _largest,
        DroppedInOneOnly = _otherDropped,
        First = _first,
        Mismatches = _mismatches,
        MismatchCount = _mismatchCount,
    };

    private void Compare(Key key, RoutingTraceEntry first, RoutingTraceEntry second)
    {
        if ((first.Sequences, first.SequenceLength, first.Width) != (second.Sequences, second.SequenceLength, second.Width))
        {
            Mismatch($"{key} has the shape {Shape(first)} in the first trace, {Shape(second)} in the second");
            return;
        }

        _entries++;
        _tokens += first.Tokens;
        int? firstToken = null;
        for (int token = 0; token < first.Tokens; token++)
        {
            if (!AreEqual(first, second, token)) firstToken ??= token;
        }

        if (firstToken is not { } found || (_first is { } known && key.CompareTo(new(known.Step, known.Layer, known.Entry)) > 0)) return;

        _first = new(key.Step, key.Layer, key.Entry, found, RoutingTraceChoice.Of(first, found), RoutingTraceChoice.Of(second, found));
    }

    /// <summary>Compares a token and counts what differs.</summary>
    private bool AreEqual(RoutingTraceEntry first, RoutingTraceEntry second, int token)
    {
        var experts = first.ExpertsOf(token);
        var others = second.ExpertsOf(token);
        int matched = 0;
        bool isEqual = true;
        for (int slot = 0; slot < experts.Length; slot++)
        {
            if (experts[slot] == RoutingTraceEntry.None) continue;

            int other = Counterpart(experts, slot, others);
            if (other < 0) continue;

            matched++;
            isEqual &= CompareWeights(first.WeightsOf(token)[slot], second.WeightsOf(token)[other]);
            if (first.IsDropped(token, slot) == second.IsDropped(token, other)) continue;

            _otherDropped++;
            isEqual = false;
        }

        _shared += matched;
        if (matched == Used(experts) && matched == Used(others)) return isEqual;

        _otherExperts++;
        return false;
    }

    /// <summary>The slot of the same expert on the other side: the n-th for the n-th, should a router choose one twice; -1 without.</summary>
    private static int Counterpart(ReadOnlySpan<int> experts, int slot, ReadOnlySpan<int> others)
    {
        int expert = experts[slot];
        if (others[slot] == expert && !experts[..slot].Contains(expert) && !others[..slot].Contains(expert)) return slot;

        int skip = experts[..slot].Count(expert);
        for (int i = 0; i < others.Length; i++)
        {
            if (others[i] == expert && skip-- == 0) return i;
        }

        return -1;
    }

    private static int Used(ReadOnlySpan<int> experts) => experts.Length - experts.Count(RoutingTraceEntry.None);

    private bool CompareWeights(float first, float second)
    {
        if (first.Equals(second)) return true; // also where both are no number

        double difference = Math.Abs((double)first - second);
        _otherWeights++;
        _largest = Math.Max(_largest, double.IsNaN(difference) ? double.PositiveInfinity : difference);
        return false;
    }

    private void Mismatch(string what)
    {
        _mismatchCount++;
        if (_mismatches.Count < MostMismatches) _mismatches.Add(what);
    }

    private static string Shape(RoutingTraceEntry entry) => $"{entry.Sequences} × {entry.SequenceLength} × {entry.Width}";

    /// <summary>What tells entries apart: how many of the same step and layer came before is the last part.</summary>
    private readonly record struct Key(long Step, int Layer, int Entry) : IComparable<Key>
    {
        public int CompareTo(Key other) => (Step, Layer, Entry).CompareTo((other.Step, other.Layer, other.Entry));

        public override string ToString() => Entry == 0 ? $"step {Step}, layer {Layer}" : $"step {Step}, layer {Layer}, entry {Entry}";
    }

    /// <summary>A trace on its way: the entries read whose counterparts are not.</summary>
    private sealed class Side(IEnumerable<RoutingTraceEntry> entries) : IDisposable
    {
        private readonly IEnumerator<RoutingTraceEntry> _entries = entries.GetEnumerator();
        private readonly Dictionary<(long, int), int> _counts = [];
        private readonly Dictionary<Key, RoutingTraceEntry> _waiting = [];
        private Key? _newest;

        public IEnumerable<Key> Waiting => _waiting.Keys.Order();

        public bool Advance()
        {
            _newest = null;
            if (!_entries.MoveNext()) return false;

            var entry = _entries.Current;
            int count = _counts.GetValueOrDefault((entry.Step, entry.Layer));
            _counts[(entry.Step, entry.Layer)] = count + 1;
            var key = new Key(entry.Step, entry.Layer, count);
            _waiting.Add(key, entry);
            _newest = key;
            return true;
        }

        /// <summary>Takes the entry just read from this side and its counterpart from the other, if that has come.</summary>
        public bool TakeNewest(Side other, out Key key, out RoutingTraceEntry mine, out RoutingTraceEntry theirs)
        {
            key = _newest ?? default;
            if (_newest is null || !other._waiting.Remove(key, out theirs!) || !_waiting.Remove(key, out mine!)) // false: nobody reads them
            {
                (mine, theirs) = (null!, null!);
                return false;
            }

            return true;
        }

        public void Dispose() => _entries.Dispose();
    }
}
