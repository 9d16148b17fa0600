using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>The constants of <see cref="AdamW"/>; see <see cref="TrainingOptions"/> for their meaning and ranges.</summary>
/// <param name="Beta1">The decay of the first moment.</param>
/// <param name="Beta2">The decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="WeightDecay">The decoupled decay of tensors with two or more dimensions; others do not decay.</param>
internal sealed record AdamWOptions(double Beta1, double Beta2, double Epsilon, double WeightDecay);

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2017, arXiv:1711.05101) by libtorch's fused kernel: float32 parameters,
/// gradients and moments, one pass over memory. A parameter without a gradient stays as it is.
/// </summary>
internal sealed class AdamW : IDisposable
{
    private readonly AdamWOptions _options;
    private readonly Slot[] _matrices, _vectors;

    public AdamW(IEnumerable<Parameter> parameters, AdamWOptions options)
    {
        _options = options;
        var slots = parameters.Select(parameter => new Slot(parameter)).ToLookup(slot => slot.Parameter.Dimensions >= 2);
        _matrices = [.. slots[true]];
        _vectors = [.. slots[false]];
        Slots = [.. _matrices, .. _vectors];
    }

    /// <summary>The state of each parameter.</summary>
    public IReadOnlyList<Slot> Slots { get; }

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
        Update(_matrices, learningRate, _options.WeightDecay);
        Update(_vectors, learningRate, decay: 0);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var slot in Slots) slot.Dispose();
    }

    private void Update(Slot[] slots, double learningRate, double decay)
    {
        using var scope = NewDisposeScope();
        var moved = slots.Where(slot => slot.Parameter.grad is not null).ToArray();
        if (moved.Length == 0) return;

        foreach (var slot in moved) slot.Steps.add_(1);
        FusedOperations.AdamW(
            [.. moved.Select(slot => slot.Parameter)], [.. moved.Select(slot => slot.Parameter.grad!)],      // filtered above
            [.. moved.Select(slot => slot.First)], [.. moved.Select(slot => slot.Second)], [.. moved.Select(slot => slot.Steps)],
            _options, learningRate, decay);
        foreach (var slot in moved) slot.Parameter.grad = null;
    }

    /// <summary>One parameter with its moments (of its shape) and its own count of steps.</summary>
    internal sealed class Slot(Parameter parameter) : IDisposable
    {
        public Parameter Parameter { get; } = parameter;

        public Tensor First { get; } = Zeros(parameter.shape);

        public Tensor Second { get; } = Zeros(parameter.shape);

        public Tensor Steps { get; } = Zeros([]);

        public void Dispose()
        {
            First.Dispose();
            Second.Dispose();
            Steps.Dispose();
        }

        private static Tensor Zeros(long[] shape) => zeros(shape, ScalarType.Float32).DetachFromDisposeScope();
    }
}
