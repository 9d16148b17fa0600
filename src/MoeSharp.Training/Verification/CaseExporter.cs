using System.Text;
using System.Text.Json;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Training;

/// <summary>
/// Writes what a layer computes as a layer or router case (format 1), outputs and gradients, which <see cref="CaseVerifier"/> and other
/// implementations can be held against. Everything is computed on the CPU from a copy: the layer stays as it is.
/// </summary>
public static class CaseExporter
{
    private const int UpstreamSeed = 1;

    /// <summary>Writes a layer case, in training form if the layer is in training; a file of that name is replaced at the very end.</summary>
    /// <param name="path">The file; its name should end in <see cref="CaseVerifier.CaseFileEnding"/>.</param>
    /// <param name="layer">The layer, with float32 parameters.</param>
    /// <param name="hidden">The hidden states, float32 [B, S, D].</param>
    /// <param name="call">What the call brings besides; without <see cref="RoutingCall.StepLoad"/>.</param>
    /// <param name="name">The name of the case.</param>
    /// <exception cref="ArgumentException">A tensor has the wrong type or shape, or the call has what a case cannot hold.</exception>
    /// <exception cref="MoeException">The routing of a token is not a number.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, RoutedMoE layer, Tensor hidden, RoutingCall call, string name)
    {
        ArgumentNullException.ThrowIfNull(layer);
        Write(path, new Source(layer, layer.Options, name), hidden, call);
    }

    /// <summary>Writes a case of a layer with a shared expert, as <see cref="Write(string, RoutedMoE, Tensor, RoutingCall, string)"/> does.</summary>
    /// <inheritdoc cref="Write(string, RoutedMoE, Tensor, RoutingCall, string)"/>
    public static void Write(string path, RoutedAndSharedMoE layer, Tensor hidden, RoutingCall call, string name)
    {
        ArgumentNullException.ThrowIfNull(layer);
        Write(path, new Source(layer, layer.Options, name), hidden, call);
    }

    /// <summary>
    /// Writes a case of the layer's router alone, from hidden states: probabilities, losses and their gradients. Losses and bias updates that
    /// count <see cref="BalanceCounts.Routed"/> count what was not dropped, as the format says of routers.
    /// </summary>
    /// <inheritdoc cref="Write(string, RoutedMoE, Tensor, RoutingCall, string)"/>
    public static void WriteRouter(string path, RoutedMoE layer, Tensor hidden, RoutingCall call, string name)
    {
        ArgumentNullException.ThrowIfNull(layer);
        ArgumentNullException.ThrowIfNull(call);
        Write(path, new Source(layer, layer.Options, name) { IsRouter = true }, call.RouterInput ?? hidden, call with { RouterInput = null });
    }

    private static void Write(string path, Source source, Tensor hidden, RoutingCall call)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(source.Name);
        Check(source, hidden, call);

        using var scope = NewDisposeScope();
        var options = source.IsRouter ? LayerCaseDescription.RouterAlone(source.Options) : source.Options;
        var parameters = CaseSubject.ParametersOf(source.Layer).ToDictionary();
        var inputs = new CaseInputs { Hidden = Copy(hidden), Call = CopyOf(call, source, hidden) };
        using var subject = CaseSubject.Create(options, source.IsRouter, readsLogits: false, source.Layer.training);
        subject.Load(name => parameters[name].cpu());
        var followed = Follow(inputs, subject);

        var results = subject.Run(inputs);
        List<TensorToWrite> tensors = [.. inputs.ToWrite(options.Router.ExpertCount), .. subject.Parameters.Select(parameter => TensorMemory.ToWrite($"param.{parameter.Key}", parameter.Value)), .. Outputs(results, options)];
        var (upstream, values) = Upstream(results, source.IsRouter);
        tensors.Add(TensorMemory.ToWrite(upstream, values));
        GuardedBackward.Run(source.IsRouter ? results.Objective(null, values) : results.Objective(values, null));
        tensors.AddRange(followed.Where(tensor => tensor.Values.grad is not null).Select(tensor => TensorMemory.ToWrite($"grad.{tensor.Name}", tensor.Values.grad!)));

        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string> { ["case"] = Description(source, inputs.Call.Step ?? 0) });
    }

    private static void Check(Source source, Tensor hidden, RoutingCall call)
    {
        ArgumentNullException.ThrowIfNull(hidden);
        ArgumentNullException.ThrowIfNull(call);
        var layer = source.Layer;
        LayerInput.Check(hidden, call, (layer as RoutedMoE ?? ((RoutedAndSharedMoE)layer).Routed).Gate.Weight, source.Options.Router);
        if (hidden.dim() != 3 || hidden.dtype != ScalarType.Float32)
            throw new ArgumentException($"The hidden states are {hidden.dtype} [{string.Join(", ", hidden.shape)}]; expected Float32 [batch, sequence, hidden], which is what a case holds.", nameof(hidden));
        if (call.StepLoad is not null) throw new ArgumentException("The call has a StepLoad, which a case cannot hold; leave it out.", nameof(call));

        var other = layer.state_dict().FirstOrDefault(entry => entry.Value.is_floating_point() && entry.Value.dtype != ScalarType.Float32);
        if (other.Value is not null) throw new ArgumentException($"Parameter '{other.Key}' is {other.Value.dtype}; a case holds Float32: convert the layer first.", nameof(source));
    }

    private static RoutingCall CopyOf(RoutingCall call, Source source, Tensor hidden)
    {
        long step = call.Step ?? 0;
        bool draws = source.Layer.training && source.Options.Router.Select is Selection.SparseMixer;
        return call with
        {
            RouterInput = call.RouterInput is null ? null : Copy(call.RouterInput),
            TokenMask = call.TokenMask?.cpu(),
            TokenIds = call.TokenIds?.cpu(),
            Experts = call.Experts?.cpu(),
            Draws = draws ? call.Draws ?? Draws(source.Options.Router, step, hidden.size(0) * hidden.size(1)) : null,
            Step = step,
        };
    }

    /// <summary>The draws that the layer itself takes, for readers that have no way to them.</summary>
    private static SparseMixerDraws Draws(RouterOptions router, long step, long tokens)
    {
        int experts = router.ExpertCount;
        var rounds = Enumerable.Range(0, 2).Select(round => new CounterRandom(router.Seed, step, round)).ToArray();
        return new(
            [.. rounds.Select(random => Enumerable.Range(0, (int)tokens * experts).Select(i => random.Exponential((long)(i / experts) * (experts + 1) + i % experts)).ToArray())],
            [.. rounds.Select(random => Enumerable.Range(0, (int)tokens).Select(token => random.Uniform((long)token * (experts + 1) + experts)).ToArray())]);
    }

    private static List<(string Name, Tensor Values)> Follow(CaseInputs inputs, CaseSubject subject)
    {
        var parameters = subject.Parameters.Where(parameter => parameter.Value.is_floating_point()).Select(parameter => ($"param.{parameter.Key}", parameter.Value));
        List<(string Name, Tensor Values)> followed = [.. inputs.Differentiable, .. parameters];
        foreach (var (_, values) in followed) values.requires_grad_();
        return followed;
    }

    private static IEnumerable<TensorToWrite> Outputs(CaseResults results, MoeOptions options)
    {
        foreach (var (name, values) in results.Outputs())
        {
            bool isAskedFor = name switch
            {
                "output.load_balance_loss" => options.LoadBalance.Count > 0,
                "output.z_loss" => options.ZLossCoefficient > 0,
                _ => true,
            };
            if (isAskedFor) yield return TensorMemory.ToWrite(name, values());
        }

        yield return TensorMemory.ToWrite("output.expert_ids", results.ExpertIds());
        yield return TensorMemory.ToWrite("output.map", results.Map());
    }

    private static (string Name, Tensor Values) Upstream(CaseResults results, bool isRouter)
    {
        using var generator = new Generator(UpstreamSeed);
        return isRouter
            ? ("upstream.probs", randn(results.Map().shape, generator: generator))
            : ("upstream.y", randn(results.Hidden!.shape, generator: generator));       // a whole layer has an output
    }

    private static Tensor Copy(Tensor values) => values.detach().cpu().clone();

    private static string Description(Source source, long step)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("name", source.Name);
            json.WriteString("source", $"MoeSharp {ComponentVersions.All["moesharp"]}");
            json.WriteNumber("format", LayerCaseDescription.Format);
            json.WriteString("kind", source.IsRouter ? "router" : "layer");
            json.WriteString("mode", source.Layer.training ? "train" : "eval");
            if (step != 0) json.WriteNumber("step", step);
            json.WritePropertyName("layer");
            json.WriteRawValue(MoeOptionsJson.Write(source.Options));
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private sealed record Source(Module Layer, MoeOptions Options, string Name)
    {
        public bool IsRouter { get; init; }
    }
}
