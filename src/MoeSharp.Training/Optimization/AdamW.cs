using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>The constants of <see cref="AdamW"/>; see <see cref="TrainingOptions"/> for their meaning and ranges.</summary>
/// <param name="Beta1">The decay of the first moment.</param>
/// <param name="Beta2">The decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="WeightDecay">The decoupled decay of tensors with two or more dimensions; others do not decay.</param>
internal sealed record AdamWOptions(double Beta1, double Beta2, double Epsilon, double WeightDecay)
{
    /// <summary>The type of the moments.</summary>
    public MomentPrecision Moments { get; init; }
}

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2017, arXiv:1711.05101): one pass over memory by <see cref="AdamWKernel"/>, or by
/// libtorch's fused kernel where that cannot reach it. Moments are float32 or bfloat16; a bfloat16 parameter has a float32 master copy. A
/// parameter without a gradient stays as it is.
/// </summary>
internal sealed class AdamW : IDisposable
{
    private readonly AdamWOptions _options;
    private readonly List<(RoutedMoE Layer, AdamWSlot[] Slots)> _deferring = [];

    public AdamW(IEnumerable<Parameter> parameters, AdamWOptions options)
    {
        _options = options;
        var slots = parameters.Select(parameter => new AdamWSlot(parameter, options.Moments)).ToLookup(slot => slot.Parameter.Dimensions >= 2);
        Slots = [.. slots[true], .. slots[false]];
    }

    /// <summary>The state of each parameter.</summary>
    public IReadOnlyList<AdamWSlot> Slots { get; }

    /// <summary>
    /// From now on, experts of these layers that a step gives no gradient (they had no token) take it when they next get one: the same bits, and
    /// less memory traffic. Until <see cref="Flush"/>, only the layers' own forward pass sees their weights as they should be.
    /// </summary>
    public void DeferIdleExperts(IEnumerable<RoutedMoE> layers)
    {
        var slots = Slots.ToDictionary(slot => slot.Parameter.Handle);
        foreach (var layer in layers)
        {
            AdamWSlot[] own = [.. layer.Experts.parameters().Where(parameter => slots.ContainsKey(parameter.Handle)).Select(parameter => slots[parameter.Handle])];
            foreach (var slot in own) slot.Defer();
            layer.BeforeExperts = rows => CatchUp(own, rows);
            _deferring.Add((layer, own));
        }
    }

    /// <summary>Takes all steps that experts have yet to take. Call it before anything but training reads parameters or moments.</summary>
    public void Flush()
    {
        foreach (var (_, slots) in _deferring) CatchUp(slots, rows: null);
    }

    /// <summary>Clips the gradients of all parameters together and returns their 2-norm before; see <see cref="FusedOperations.ClipNorm"/>.</summary>
    public double ClipGradients(double limit)
    {
        using var scope = NewDisposeScope();
        Tensor[] gradients = [.. Slots.Select(slot => slot.Parameter.grad).OfType<Tensor>()];
        return gradients.Length == 0 ? 0 : FusedOperations.ClipNorm(gradients, limit);
    }

    /// <summary>Takes one step at <paramref name="learningRate"/> and drops the gradients.</summary>
    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        var moved = Slots.Select(slot => (Slot: slot, Gradient: slot.Parameter.grad!)).Where(pair => pair.Gradient is not null).ToLookup(pair => pair.Slot.FitsKernel);

        var works = new List<AdamWWork>();
        var alive = new List<Tensor>();
        foreach (var (slot, gradient) in moved[true])
        {
            var dense = gradient.contiguous();
            alive.Add(dense);
            slot.TakeStep(works, dense, Rates(learningRate, slot));
        }

        AdamWKernel.Run(works, WorkerPool.Shared);
        GC.KeepAlive(alive);

        foreach (var group in moved[false].GroupBy(pair => pair.Slot.Parameter.Dimensions >= 2)) TakeFused([.. group], learningRate, group.Key ? _options.WeightDecay : 0);
        foreach (var (slot, _) in moved.SelectMany(group => group)) slot.Parameter.grad = null;
    }

    /// <summary>Takes what is left to take, and frees the moments.</summary>
    public void Dispose()
    {
        Flush();
        foreach (var (layer, _) in _deferring) layer.BeforeExperts = null;
        foreach (var slot in Slots) slot.Dispose();
    }

    private AdamWRates Rates(double learningRate, AdamWSlot slot) => new()
    {
        LearningRate = learningRate,
        WeightDecay = slot.Parameter.Dimensions >= 2 ? _options.WeightDecay : 0,
        Beta1 = _options.Beta1,
        Beta2 = _options.Beta2,
        Epsilon = _options.Epsilon,
    };

    private static void CatchUp(AdamWSlot[] slots, IReadOnlyList<long>? rows)
    {
        var works = new List<AdamWWork>();
        foreach (var slot in slots) slot.CatchUp(works, rows);
        if (works.Count > 0) AdamWKernel.Run(works, WorkerPool.Shared);
    }

    private void TakeFused((AdamWSlot Slot, Tensor Gradient)[] moved, double learningRate, double decay)
    {
        foreach (var (slot, _) in moved) slot.Steps.add_(1);
        FusedOperations.AdamW(
            [.. moved.Select(pair => pair.Slot.Parameter)], [.. moved.Select(pair => pair.Gradient)],
            [.. moved.Select(pair => pair.Slot.First)], [.. moved.Select(pair => pair.Slot.Second)], [.. moved.Select(pair => pair.Slot.Steps)],
            _options, learningRate, decay);
    }
}
