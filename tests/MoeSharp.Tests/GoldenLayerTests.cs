using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Tests;

/// <summary>Whole layers against the outputs and gradients of MaxText, which computed them in float32 (each file names its source).</summary>
public sealed class GoldenLayerTests
{
    private const double Tolerance = 1e-5;

    public static TheoryData<string> Cases =>
    [
        "mixtral_dropless", "mixtral_dense", "qwen3", "gpt_oss", "llama4", "gemma4", "deepseek2", "deepseek3_groups_shared", "deepseek4",
        "uneven_sequence_balance",
    ];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Layer_GoldenCase_HasTheReferencesOutputsSelectionsAndGradients(string name)
    {
        using var scope = NewDisposeScope();
        var golden = new CaseFile(TestKit.Fixtures.Path("layers", $"maxtext_{name}.case.safetensors"));
        using var layer = Load(golden);
        var hidden = golden["input.x"].requires_grad_();
        var routerInput = golden.Find("input.router_x")?.requires_grad_();

        var outputs = RunBySequence(layer, hidden, routerInput);
        var balance = BalanceOf(golden, outputs);
        GuardedBackward.Run((cat([.. outputs.Select(o => o.Hidden)]) * golden["upstream.y"]).sum() + balance);

        TensorAssert.Close(golden["output.y"], cat([.. outputs.Select(o => o.Hidden)]), Tolerance, "output.y");
        if (golden.Find("output.load_balance_loss") is { } loss) TensorAssert.Close(loss, balance, Tolerance, "output.load_balance_loss");
        CheckRouting(golden, AnyLayer.Routed(layer).Plan(routerInput ?? hidden));
        CheckGradients(golden, layer, hidden, routerInput);
        CheckBiasUpdate(golden, AnyLayer.Routed(layer), outputs);
    }

    private static Module<Tensor, MoeOutput> Load(CaseFile golden)
    {
        var options = CaseOptions.Read(golden.Case.GetProperty("layer"));
        Module<Tensor, MoeOutput> layer = options.Shared is null ? new RoutedMoE(options) : new RoutedAndSharedMoE(options);
        var state = layer.state_dict().ToDictionary(entry => CaseName(entry.Key), entry => entry.Value);
        using var _ = no_grad();
        foreach (var (name, values) in golden.StartingWith("param.")) state[name].copy_(values);
        return layer;
    }

    private static string CaseName(string key) => key.Replace("routed.", "", StringComparison.Ordinal) switch
    {
        "gate.weight" => "router.weight",
        "gate.bias" => "router.bias",
        var other => other,
    };

    // the reference balances each sequence by itself, so each one is a call
    private static MoeOutput[] RunBySequence(Module<Tensor, MoeOutput> layer, Tensor hidden, Tensor? routerInput)
    {
        MoeOutput Run(long b) => layer is RoutedAndSharedMoE both
            ? both.forward(hidden.narrow(0, b, 1), new RoutingCall { RouterInput = routerInput?.narrow(0, b, 1) })
            : ((RoutedMoE)layer).forward(hidden.narrow(0, b, 1), new RoutingCall { RouterInput = routerInput?.narrow(0, b, 1) });
        return [.. Enumerable.Range(0, (int)hidden.size(0)).Select(b => Run(b))];
    }

    private static Tensor BalanceOf(CaseFile golden, MoeOutput[] outputs)
    {
        if (!golden.Case.GetProperty("layer").TryGetProperty("load_balance", out var options)) return tensor(0f);
        return stack(outputs.Select(output => output.Statistics.LoadBalanceLoss)).mean() * options.GetProperty("coefficient").GetDouble();
    }

    private static void CheckRouting(CaseFile golden, RoutingTensors plan)
    {
        var (ids, order) = plan.Experts.sort(-1);
        var (expectedIds, expectedOrder) = golden["output.expert_ids"].view_as(plan.Experts).sort(-1);
        TensorAssert.Same(expectedIds, ids, "output.expert_ids");
        TensorAssert.Close(
            golden["output.weights"].view_as(plan.Weights).gather(-1, expectedOrder), plan.Weights.gather(-1, order), Tolerance, "output.weights");
    }

    private static void CheckGradients(CaseFile golden, Module<Tensor, MoeOutput> layer, Tensor hidden, Tensor? routerInput)
    {
        TensorAssert.Close(golden["grad.input.x"], hidden.grad!, Tolerance, "grad.input.x");
        if (routerInput is not null) TensorAssert.Close(golden["grad.input.router_x"], routerInput.grad!, Tolerance, "grad.input.router_x");
        foreach (var (name, parameter) in layer.named_parameters())
        {
            var expected = golden.Find($"grad.param.{CaseName(name)}") ?? zeros_like(parameter);
            TensorAssert.Close(expected, parameter.grad!, Tolerance, $"grad.param.{CaseName(name)}");
        }
    }

    private static void CheckBiasUpdate(CaseFile golden, RoutedMoE layer, MoeOutput[] outputs)
    {
        if (golden.Find("output.bias_update") is not { } expected) return;
        var before = layer.CorrectionBias!.clone();

        layer.UpdateBalance(outputs.Select(output => output.Statistics.Load).Aggregate((sum, load) => sum.Add(load)));

        TensorAssert.Close(before + expected, layer.CorrectionBias!, 1e-6, "output.bias_update");
    }
}
