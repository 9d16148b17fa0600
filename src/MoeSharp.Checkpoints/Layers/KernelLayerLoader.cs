using System.Buffers;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Packs a stored layer for the kernels on all threads. Plain weights are packed straight from the mapped file, each expert in parts, so that
/// threads of different speed end together; others are decoded into buffers of one matrix each.
/// </summary>
internal sealed class KernelLayerLoader(StoredMoeLayer stored, MoeLayer layer)
{
    private const int Parts = 8;

    public void Load(IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        LoadRouter();
        if (stored.Shared is { } shared) LoadShared(shared);

        int done = 0, count = stored.Options.Router.ExpertCount;
        void Report() => progress?.Report(new LoadProgress(stored.Index, Interlocked.Increment(ref done), count));

        var experts = Enumerable.Range(0, count).Select(index => (Index: index, Weights: stored.Expert(index))).ToLookup(expert => IsPlain(expert.Weights));
        LoadPlain([.. experts[true]], Report, cancellationToken);
        LoadEncoded([.. experts[false]], Report, cancellationToken);
    }

    private void LoadPlain((int Index, StoredMlp Weights)[] experts, Action report, CancellationToken cancellationToken)
    {
        foreach (var (index, _) in experts) layer.Experts.BeginParts(index);

        int[] loaded = new int[experts.Length];
        WorkerPool.Shared.ForEach(experts.Length * Parts, task =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (place, part) = Math.DivRem(task, Parts);
            var (index, weights) = experts[place];
            LoadPart(index, weights, part);
            if (Interlocked.Increment(ref loaded[place]) < Parts) return;

            layer.Experts.EndParts(index);
            LoadBiases(index, weights);
            report();
        });
    }

    private void LoadEncoded((int Index, StoredMlp Weights)[] experts, Action report, CancellationToken cancellationToken) => WorkerPool.Shared.ForEach(experts.Length, place =>
    {
        cancellationToken.ThrowIfCancellationRequested();
        var (index, weights) = experts[place];
        if (layer.Precision == ExpertPrecision.Float32) LoadValues(index, weights);
        else LoadBits(index, weights);

        LoadBiases(index, weights);
        report();
    });

    private void LoadRouter()
    {
        var router = stored.Router;
        using var weight = new Decoded<float>(router.Weight);
        layer.LoadRouter(weight.Values);
        if (router.LogitBias is { } logitBias) layer.LoadLogitBias([.. logitBias]);
        if (router.InputScale is { } inputScale) layer.LoadInputScale([.. inputScale]);
        if (router.CorrectionBias is { } correctionBias) layer.LoadCorrectionBias([.. correctionBias]);
        if (router.QuantileBias is { } quantileBias) layer.LoadQuantileBias([.. quantileBias]);
        if (router.PerExpertScale is { } scale) layer.LoadPerExpertScale([.. scale]);
        if (router.TokenTable is { } table) layer.LoadTokenTable([.. table]);
    }

    private void LoadShared(StoredMlp shared)
    {
        using var gate = new Decoded<float>(shared.Gate);
        using var up = new Decoded<float>(shared.Up);
        using var down = new Decoded<float>(shared.Down);
        using var router = stored.SharedRouter is { } row ? new Decoded<float>(row) : null;
        layer.Experts.LoadShared(gate.Values, up.Values, down.Values, router is null ? [] : router.Values);
    }

    private static bool IsPlain(StoredMlp expert) => AreBits(expert, out _, out _, out _) || AreValues(expert, out _, out _, out _);

    private void LoadPart(int index, StoredMlp expert, int part)
    {
        if (AreBits(expert, out var gateBits, out var upBits, out var downBits)) layer.Experts.LoadPart(index, gateBits, upBits, downBits, part, Parts);
        else if (AreValues(expert, out var gate, out var up, out var down)) layer.Experts.LoadPart(index, gate, up, down, part, Parts);
    }

    private static bool AreBits(StoredMlp expert, out ReadOnlySpan<ushort> gate, out ReadOnlySpan<ushort> up, out ReadOnlySpan<ushort> down) =>
        expert.Gate.TryGetBits(out gate) & expert.Up.TryGetBits(out up) & expert.Down.TryGetBits(out down);

    private static bool AreValues(StoredMlp expert, out ReadOnlySpan<float> gate, out ReadOnlySpan<float> up, out ReadOnlySpan<float> down) =>
        expert.Gate.TryGetValues(out gate) & expert.Up.TryGetValues(out up) & expert.Down.TryGetValues(out down);

    private void LoadBiases(int index, StoredMlp expert)
    {
        if (expert.Biases is { } biases) layer.Experts.LoadBias(index, [.. biases.Gate], [.. biases.Up], [.. biases.Down]);
    }

    private void LoadValues(int index, StoredMlp expert)
    {
        using var gate = new Decoded<float>(expert.Gate);
        using var up = new Decoded<float>(expert.Up);
        using var down = new Decoded<float>(expert.Down);
        layer.Experts.Load(index, gate.Values, up.Values, down.Values);
    }

    private void LoadBits(int index, StoredMlp expert)
    {
        using var gate = new Decoded<ushort>(expert.Gate);
        using var up = new Decoded<ushort>(expert.Up);
        using var down = new Decoded<ushort>(expert.Down);
        layer.Experts.Load(index, gate.Values, up.Values, down.Values);
    }

    /// <summary>A matrix in memory: as float32, or as the bits of bfloat16.</summary>
    private sealed class Decoded<T> : IDisposable
        where T : unmanaged
    {
        private readonly T[] _values;
        private readonly int _length;

        public Decoded(WeightMatrix matrix)
        {
            _length = checked(matrix.Rows * matrix.Columns);
            _values = ArrayPool<T>.Shared.Rent(_length);
            if (_values is float[] floats) matrix.Decode(0, matrix.Rows, floats);
            else matrix.Decode(0, matrix.Rows, (ushort[])(object)_values);
        }

        public ReadOnlySpan<T> Values => _values.AsSpan(0, _length);

        public void Dispose() => ArrayPool<T>.Shared.Return(_values);
    }
}
