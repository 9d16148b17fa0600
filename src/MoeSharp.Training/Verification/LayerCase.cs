using System.Runtime.InteropServices;
using System.Text.Json;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// A layer or router case (format 1): builds what the case describes, with its parameters, and compares outputs, selections, losses, bias
/// updates and gradients.
/// </summary>
internal sealed class LayerCase
{
    private readonly SafetensorsFile _file;
    private readonly LayerCaseDescription _about;
    private readonly Comparison _comparison;

    private LayerCase(SafetensorsFile file, LayerCaseDescription about)
    {
        (_file, _about, _comparison) = (file, about, new Comparison(file));
    }

    public static VerifyReport Verify(SafetensorsFile file, JsonElement about, CancellationToken cancellationToken)
    {
        var description = LayerCaseDescription.Read(file, about);
        LayerCaseTensors.Check(file, description);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            return new LayerCase(file, description).Verify(cancellationToken);
        }
        catch (Exception e) when (e is MoeException and not CheckpointException or ArgumentException or InvalidOperationException or ArithmeticException or IndexOutOfRangeException or OutOfMemoryException or ExternalException)
        {
            // the tensors fit the options, so values are at fault: ids that are no expert, numbers that are none, sizes beyond memory
            string message = e is ExternalException ? e.Message.Split('\n')[0] : e.Message;        // libtorch adds its stack
            throw new CheckpointException(file.Path, $"The case cannot be computed: {message}", e);
        }
    }

    private VerifyReport Verify(CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        var inputs = CaseInputs.Read(_comparison, _file, _about);
        using var subject = CaseSubject.Create(_about.Options, _about.IsRouter, readsLogits: inputs.Hidden is null, _about.IsTraining);
        subject.Load(name => _comparison.Input($"param.{name}"));
        bool hasGradients = _file.Tensors.Keys.Any(name => name.StartsWith("grad.", StringComparison.Ordinal));
        if (hasGradients) Follow(subject, inputs);

        var results = subject.Run(inputs);
        cancellationToken.ThrowIfCancellationRequested();
        if (_about.Options.Router.Select is Selection.Random && inputs.Call.Experts is null)
        {
            // drawn experts are nobody else's: only what does not depend on them can be compared
            foreach (var (name, values) in results.Outputs().Where(output => output.Name == "output.z_loss")) _comparison.Close(name, values, _about.Tolerance);
        }
        else
        {
            CompareOutputs(results, inputs);
            if (hasGradients) CompareGradients(results, subject, inputs);
        }

        return new VerifyReport(_file.Path, _about.Kind, _comparison.Rows, _comparison.Unused);
    }

    /// <summary>Asks for the gradients that the case has; a buffer has one only on request.</summary>
    private void Follow(CaseSubject subject, CaseInputs inputs)
    {
        foreach (var (_, values) in inputs.Differentiable) values.requires_grad_();
        foreach (var (name, values) in subject.Parameters)
        {
            if (_comparison.Has($"grad.param.{name}")) values.requires_grad_();
        }
    }

    private void CompareOutputs(CaseResults results, CaseInputs inputs)
    {
        foreach (var (name, values) in results.Outputs().Where(output => output.Name != "output.weights")) _comparison.Close(name, values, _about.Tolerance);
        if (results.Routing.Count > 1) return;      // such cases are of the loss that layers share

        CompareSelection(results, inputs.Call.TokenMask);
        if (_comparison.Has("output.map"))
        {
            var theirs = _comparison.Input("output.map");
            _comparison.Add("output.map", theirs, results.Map().ne(theirs).sum().item<long>(), 0);
        }

        CompareSlots("layer.dispatch.capacity.slots_per_expert", _about.SlotsPerExpert, results);
        CompareSlots("layer.dispatch.ragged_buffer.slots_per_shard", _about.SlotsPerShard, results);
    }

    private void CompareSelection(CaseResults results, Tensor? mask)
    {
        if (!_comparison.Has("output.expert_ids"))
        {
            CompareWeightsAlone(results);
            return;
        }

        int experts = _about.Options.Router.ExpertCount;
        var ids = _comparison.Input("output.expert_ids");
        var weights = _comparison.Has("output.weights") ? _comparison.Input("output.weights") : null;
        if (weights is not null && !weights.shape.SequenceEqual(ids.shape)) throw new ArgumentException("'output.weights' and 'output.expert_ids' have different shapes; expected a weight for each id.");

        var (theirs, ours) = (PairTable.Of(ids, weights, experts), PairTable.Of(results.ExpertIds(), results.Routing[0].Plan.Weights, experts));
        bool[]? counted = mask is null ? null : TensorMemory.Values<bool>(mask);       // padding without experts has no ids to compare
        _comparison.Add("output.expert_ids", ids, theirs.Differing(ours, token => counted is null || _about.Options.MaskScope == MaskScope.Losses || counted[token]), 0);
        if (weights is not null) _comparison.Add("output.weights", weights, Comparison.RelativeError(ours.Weights(), theirs.Weights()), _about.Tolerance);
    }

    /// <summary>Without ids, the weights of each token are compared in descending order.</summary>
    private void CompareWeightsAlone(CaseResults results)
    {
        if (!_comparison.Has("output.weights")) return;

        var (theirs, ours) = (_comparison.Input("output.weights"), results.Outputs().First(output => output.Name == "output.weights").Values());
        long width = Math.Max(theirs.size(-1), ours.size(-1));
        Tensor Sorted(Tensor weights) => nn.functional.pad(weights.detach(), [0, width - weights.size(-1)]).sort(-1, descending: true).Values;

        _comparison.Add("output.weights", theirs, Comparison.RelativeError(Sorted(ours), Sorted(theirs)), _about.Tolerance);
    }

    private void CompareSlots(string name, long? stated, CaseResults results)
    {
        if (stated is { } theirs) _comparison.Add(name, tensor(theirs), Math.Abs(theirs - results.Routing[0].Plan.Plan.SlotsPerExpert), 0);
    }

    private void CompareGradients(CaseResults results, CaseSubject subject, CaseInputs inputs)
    {
        if (results.Routing.Count > 1 && _comparison.Has("upstream.probs")) throw new ArgumentException("'upstream.probs' is of one layer, but there are logits of several; give one layer, or only losses.");

        var objective = results.Objective(Upstream("upstream.y"), Upstream("upstream.probs"));
        if (objective.requires_grad) GuardedBackward.Run(objective);

        var all = inputs.Differentiable.Concat(subject.Parameters.Select(parameter => ($"param.{parameter.Key}", parameter.Value)));
        foreach (var (name, values) in all) _comparison.Close($"grad.{name}", () => values.grad ?? zeros_like(values), _about.Tolerance);
    }

    private Tensor? Upstream(string name) => _comparison.Has(name) ? _comparison.Input(name) : null;
}
