using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>The MoE blocks of a model case: each layer is loaded, fed what the reference's received, and compared with what it made of it.</summary>
internal sealed class BlockCase(MoeCheckpoint checkpoint, Comparison comparison)
{
    private const double Tolerance = 1e-5;

    public void Run(CancellationToken cancellationToken)
    {
        foreach (int index in checkpoint.MoeLayers)
        {
            if (!comparison.Has($"layers.{index}.moe.input")) continue;

            cancellationToken.ThrowIfCancellationRequested();
            Verify(index, cancellationToken);
        }
    }

    private void Verify(int index, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        if (checkpoint.Model.Moe(index).Shared is null)
        {
            using var layer = RoutedMoE.FromCheckpoint(checkpoint, index, cancellationToken: cancellationToken);
            Compare(layer, layer.forward, $"layers.{index}.moe.");
        }
        else
        {
            using var layer = RoutedAndSharedMoE.FromCheckpoint(checkpoint, index, cancellationToken: cancellationToken);
            Compare(layer.Routed, layer.forward, $"layers.{index}.moe.");
        }
    }

    private void Compare(RoutedMoE routed, Func<Tensor, RoutingCall, MoeOutput> forward, string prefix)
    {
        var input = comparison.Input($"{prefix}input");
        var routerInput = comparison.Has($"{prefix}router_input") ? comparison.Input($"{prefix}router_input") : null;
        bool readsIds = routed.Options.Router.Select is Selection.TokenTable;
        var call = new RoutingCall { RouterInput = routerInput, TokenIds = readsIds ? comparison.Input("input_ids") : null };

        comparison.Close($"{prefix}output", () => forward(input, call).Hidden, Tolerance);
        comparison.Close($"{prefix}routed_output", () => routed.forward(input, call).Hidden, Tolerance);
        comparison.Close($"{prefix}router_logits", () => routed.Gate.call(routerInput ?? input), Tolerance);
        if (comparison.Has($"{prefix}expert_ids")) CompareRouting(routed.Plan(input, call), routed.Options.Router.ExpertCount, prefix);
    }

    // slots have no order: compare [T, E] tables of what each expert got
    private void CompareRouting(RoutingTensors plan, int experts, string prefix)
    {
        var ids = comparison.Input($"{prefix}expert_ids").flatten(0, -2);
        var table = zeros(ids.size(0), experts);
        var (theirs, ours) = (table.scatter_add(1, ids, ones_like(ids).to(ScalarType.Float32)), table.scatter_add(1, plan.Experts, ones_like(plan.Weights)));
        comparison.Add($"{prefix}expert_ids", ids, ours.ne(theirs).sum().item<long>(), 0);
        if (!comparison.Has($"{prefix}weights")) return;

        var weights = comparison.Input($"{prefix}weights").flatten(0, -2);
        comparison.Add($"{prefix}weights", weights, Comparison.RelativeError(table.scatter_add(1, plan.Experts, plan.Weights), table.scatter_add(1, ids, weights)), Tolerance);
    }
}
