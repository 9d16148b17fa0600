using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Makes a TorchSharp layer of one in a checkpoint: experts are decoded straight into the parameters, several at once.</summary>
internal sealed class LayerLoader(StoredMoeLayer stored, LayerLoadOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
{
    public RoutedMoE Routed()
    {
        if (stored.Options.Shared is not null)
            throw new ArgumentException($"Layer {stored.Index} has a shared expert, which RoutedMoE does not compute; load it with RoutedAndSharedMoE.FromCheckpoint.");

        return Load(CreateRouted(), shared: null).Routed;
    }

    public RoutedAndSharedMoE RoutedAndShared()
    {
        if (stored.Options.Shared is null) throw new ArgumentException($"Layer {stored.Index} has no shared expert; load it with RoutedMoE.FromCheckpoint.");

        var all = stored.Options with { Backend = options.Backend };
        var (routed, shared) = Load(CreateRouted(), new SharedExpert(all, options.Device, shape => Initial.Empty(shape, options.Type, options.Device)));
        var layer = new RoutedAndSharedMoE(routed, shared!, all);
        layer.eval();
        return layer;
    }

    private RoutedMoE CreateRouted()
    {
        if (options.Type is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16))
            throw new ArgumentException($"The type of the parameters is {options.Type}; expected float32, bfloat16 or float16.");

        return new RoutedMoE(stored.Options with { Shared = null, Backend = options.Backend }, options.Device, generator: null, options.Logger, shape => Initial.Empty(shape, options.Type, options.Device));
    }

    private (RoutedMoE Routed, SharedExpert? Shared) Load(RoutedMoE routed, SharedExpert? shared)
    {
        try
        {
            using var scope = NewDisposeScope();
            using var ungraded = no_grad();
            FillRouter(routed);
            FillExperts(routed.Experts);
            if (shared is not null) FillShared(shared);
            routed.eval();
            return (routed, shared);
        }
        catch
        {
            routed.Dispose();
            shared?.Dispose();
            throw;
        }
    }

    private void FillRouter(RoutedMoE routed)
    {
        var router = stored.Router;
        Fill(routed.Gate.Weight, router.Weight);
        Fill(routed.Gate.Bias, router.LogitBias);
        Fill(routed.Gate.Scale, router.InputScale);
        Fill(routed.CorrectionBias, router.CorrectionBias);
        Fill(routed.QuantileBias, router.QuantileBias);
        Fill(routed.PerExpertScale, router.PerExpertScale);
        Fill(routed.TokenTable, router.TokenTable);
    }

    private void FillExperts(Experts experts)
    {
        int done = 0, count = stored.Options.Router.ExpertCount;
        WorkerPool.Shared.ForEach(count, index =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var ungraded = no_grad();      // holds for a thread
            var expert = stored.Expert(index);
            FillSlice(experts.Gate, index, expert.Gate);
            FillSlice(experts.Up, index, expert.Up);
            FillSlice(experts.Down, index, expert.Down);
            FillSlice(experts.GateBias, index, expert.Biases?.Gate);
            FillSlice(experts.UpBias, index, expert.Biases?.Up);
            FillSlice(experts.DownBias, index, expert.Biases?.Down);
            progress?.Report(new LoadProgress(stored.Index, Interlocked.Increment(ref done), count));
        });
    }

    private void FillShared(SharedExpert shared)
    {
        var weights = stored.Shared!;       // there is one in the options
        Fill(shared.Gate, weights.Gate);
        Fill(shared.Up, weights.Up);
        Fill(shared.Down, weights.Down);
        if (shared.Router is { } router) Fill(router, stored.SharedRouter!);       // as in the options
    }

    private static void FillSlice(Tensor stacked, int index, WeightMatrix matrix)
    {
        using var slice = stacked.select(0, index);
        Fill(slice, matrix);
    }

    private static void FillSlice(Tensor? stacked, int index, IReadOnlyList<float>? values)
    {
        if (stacked is null) return;

        using var slice = stacked.select(0, index);
        Fill(slice, values);
    }

    private static void Fill(Tensor? destination, IReadOnlyList<float>? values)
    {
        if (destination is null || values is null) return;

        using var source = tensor(values.ToArray());
        destination.copy_(source);
    }

    private static void Fill(Tensor? destination, IReadOnlyList<long>? values)
    {
        if (destination is null || values is null) return;

        using var source = tensor(values.ToArray());
        using var shaped = source.view(destination.shape);
        destination.copy_(shaped);
    }

    private static void Fill(Tensor destination, WeightMatrix matrix)
    {
        if (destination.device_type != TorchSharp.DeviceType.CPU || destination.dtype == ScalarType.Float16)
        {
            using var staged = empty([matrix.Rows, matrix.Columns], destination.dtype == ScalarType.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32);
            Fill(staged, matrix);
            destination.copy_(staged);
            return;
        }

        if (destination.dtype == ScalarType.BFloat16) matrix.Decode(0, matrix.Rows, TensorValues.Of<ushort>(destination));
        else matrix.Decode(0, matrix.Rows, TensorValues.Of<float>(destination));
        GC.KeepAlive(destination);
    }
}
