using System.Runtime.InteropServices;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>What a layer or router case starts from. The tensors belong to the dispose scope in which they were read.</summary>
internal sealed record CaseInputs
{
    private const string NoisePrefix = "input.noise";

    /// <summary>Hidden states [B, S, D]; null where a router starts from logits.</summary>
    public Tensor? Hidden { get; init; }

    /// <summary>The logits [B, S, E] of one or several layers, before the logit bias; none where there are hidden states.</summary>
    public IReadOnlyList<(string Name, Tensor Values)> Logits { get; init; } = [];

    public required RoutingCall Call { get; init; }

    /// <summary>The inputs that have gradients, by their names in the case.</summary>
    public IEnumerable<(string Name, Tensor Values)> Differentiable
    {
        get
        {
            foreach (var logits in Logits) yield return logits;
            if (Hidden is not null) yield return ("input.x", Hidden);
            if (Call.RouterInput is not null) yield return ("input.router_x", Call.RouterInput);
        }
    }

    /// <summary>The inputs of a case whose tensors were checked.</summary>
    public static CaseInputs Read(Comparison comparison, SafetensorsFile file, LayerCaseDescription about)
    {
        Tensor? Optional(string name) => comparison.Has(name) ? comparison.Input(name) : null;

        var select = about.Options.Router.Select;
        var logits = about.IsRouter ? LayerCaseTensors.Logits(file) : [];
        return new()
        {
            Hidden = logits.Count == 0 ? comparison.Input("input.x") : null,
            Logits = [.. logits.Select(name => (name, comparison.Input(name)))],
            Call = new()
            {
                RouterInput = Optional("input.router_x"),
                TokenMask = Optional("input.mask")?.to(ScalarType.Bool),
                TokenIds = select is Selection.TokenTable ? Optional("input.token_ids") : null,
                Experts = Optional("input.experts"),
                Draws = select is Selection.SparseMixer && about.IsTraining ? ReadDraws(comparison) : null,
                Step = about.Step,
            },
        };
    }

    /// <summary>The inputs of a router of <paramref name="experts"/> experts as entries of a file; they must stay alive until it is written.</summary>
    public IEnumerable<TensorToWrite> ToWrite(int experts)
    {
        foreach (var (name, values) in Differentiable) yield return TensorMemory.ToWrite(name, values);
        if (Call.TokenMask is { } mask) yield return TensorMemory.ToWrite("input.mask", mask);
        if (Call.TokenIds is { } ids) yield return TensorMemory.ToWrite("input.token_ids", ids);
        if (Call.Experts is { } given) yield return TensorMemory.ToWrite("input.experts", given);
        if (Call.Draws is not { } draws) yield break;

        long[] tokens = (Hidden ?? Logits[0].Values).shape[..2];
        for (int round = 0; round < 2; round++)
        {
            yield return Floats($"{NoisePrefix}.uniform.{round}", draws.Uniforms[round], tokens);
            yield return Floats($"{NoisePrefix}.exponential.{round}", draws.Exponentials[round], [.. tokens, experts]);
        }
    }

    private static SparseMixerDraws ReadDraws(Comparison comparison)
    {
        float[][] Rounds(string kind) => [.. Enumerable.Range(0, 2).Select(round => TensorMemory.Values<float>(comparison.Input($"{NoisePrefix}.{kind}.{round}")))];

        return new(Rounds("exponential"), Rounds("uniform"));
    }

    private static TensorToWrite Floats(string name, float[] values, long[] shape) =>
        new(name, TensorType.F32, shape, stream => stream.Write(MemoryMarshal.AsBytes(values.AsSpan())));
}
