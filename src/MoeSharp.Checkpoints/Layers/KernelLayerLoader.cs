using System.Buffers;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Packs a stored layer for the kernels, several experts at once. Plain weights are packed straight from the mapped file, others are decoded
/// into buffers of one matrix each.
/// </summary>
internal sealed class KernelLayerLoader(StoredMoeLayer stored, MoeLayer layer)
{
    public void Load(IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        LoadRouter();
        if (stored.Shared is { } shared) LoadShared(shared);

        int done = 0, count = stored.Options.Router.ExpertCount;
        WorkerPool.Shared.ForEach(count, index =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            LoadExpert(index, stored.Expert(index));
            progress?.Report(new LoadProgress(stored.Index, Interlocked.Increment(ref done), count));
        });
    }

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

    private void LoadExpert(int index, StoredMlp expert)
    {
        bool isExact = layer.Precision == ExpertPrecision.Float32;
        if (expert.Gate.TryGetBits(out var gateBits) && expert.Up.TryGetBits(out var upBits) && expert.Down.TryGetBits(out var downBits)) layer.Experts.Load(index, gateBits, upBits, downBits);
        else if (expert.Gate.TryGetValues(out var gate) && expert.Up.TryGetValues(out var up) && expert.Down.TryGetValues(out var down)) layer.Experts.Load(index, gate, up, down);
        else if (isExact) LoadValues(index, expert);
        else LoadBits(index, expert);

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
