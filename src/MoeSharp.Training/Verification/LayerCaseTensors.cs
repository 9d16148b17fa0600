using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>The tensors that a layer or router case may have by its options, and what is wrong with those that it has.</summary>
internal static class LayerCaseTensors
{
    private const int Any = -1;

    // what may not be there unless the options give it a meaning; other names are comments
    private static readonly string[] Strict = ["input.", "param.", "upstream.", "grad.", "output.bias_update", "output.correction_bias_", "output.quantile_bias_"];

    /// <summary>Checks the tensors of a file against its description.</summary>
    /// <exception cref="CheckpointException">Tensors are missing, unknown, or have another type or shape; one message lists them all.</exception>
    public static void Check(SafetensorsFile file, LayerCaseDescription about)
    {
        var main = MainInput(file, about);
        var (B, S) = (main.Shape[0], main.Shape[1]);
        if ((Int128)B * S > int.MaxValue) throw new CheckpointException(file.Path, $"Tensor '{main.Name}' has {B} sequences of {S} tokens; expected fewer than 2^31 tokens.");

        CaseTensor[] inputs = [.. Inputs(file, about, B, S), .. Parameters(file, about, readsLogits: main.Name != "input.x")];
        CaseTensor[] known = [.. inputs, .. Outputs(file, about, B, S), .. Gradients(file, inputs)];
        var faults = new List<string>();
        foreach (var tensor in known) tensor.Check(file, faults);

        var names = known.Select(tensor => tensor.Name).ToHashSet();
        faults.AddRange(file.Tensors.Keys.Where(name => Strict.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)) && !names.Contains(name))
            .Select(name => $"Tensor '{name}' has no place in a {about.Kind} case with these options."));
        if (faults.Count > 0) throw CheckpointException.Listing(file.Path, faults);
    }

    /// <summary>The names of a router case's logits, in order; none when it starts from <c>input.x</c>.</summary>
    public static IReadOnlyList<string> Logits(SafetensorsFile file)
    {
        if (file.Tensors.ContainsKey("input.logits")) return ["input.logits"];
        return [.. Enumerable.Range(0, file.Tensors.Count).Select(layer => $"input.logits.{layer}").TakeWhile(file.Tensors.ContainsKey)];
    }

    /// <summary>The parameters and buffers of a layer, or of its router alone, which may start from logits.</summary>
    private static IEnumerable<CaseTensor> Parameters(SafetensorsFile file, LayerCaseDescription about, bool readsLogits)
    {
        var (options, router) = (about.Options, about.Options.Router);
        long E = router.ExpertCount, D = options.HiddenSize, K = router.TopK, H = options.Experts.IntermediateSize;
        CaseTensor Needed(string name, params long[] shape) => new($"param.{name}", TensorType.F32, shape, IsNeeded: true);

        if (!readsLogits) yield return Needed("router.weight", E, D);
        if (router.HasLogitBias) yield return Needed("router.bias", E);
        if (!readsLogits && router.InputNorm is { HasScale: true }) yield return Needed("router.scale", D);
        if (router.HasCorrectionBias) yield return Needed("router.correction_bias", E);
        if (router.HasPerExpertScale) yield return Needed("router.per_expert_scale", E);
        if (router.Select is Selection.QuantileBalance) yield return Needed("router.quantile_bias", E);
        if (router.Select is Selection.TokenTable table) yield return new("param.router.table", TensorType.I64, [file.Tensors.ContainsKey("param.router.table") ? table.VocabularySize : Any, K], IsNeeded: true);
        if (about.IsRouter) yield break;

        yield return Needed("experts.gate", E, H, D);
        yield return Needed("experts.up", E, H, D);
        yield return Needed("experts.down", E, D, H);
        if (options.Experts.HasBias)
        {
            yield return Needed("experts.gate_bias", E, H);
            yield return Needed("experts.up_bias", E, H);
            yield return Needed("experts.down_bias", E, D);
        }

        if (options.Shared is not { IntermediateSize: var W, IsGated: var isGated }) yield break;

        yield return Needed("shared.gate", W, D);
        yield return Needed("shared.up", W, D);
        yield return Needed("shared.down", D, W);
        if (isGated) yield return Needed("shared.router", 1, D);
    }

    /// <summary>The tensor that says how many tokens there are.</summary>
    private static TensorInfo MainInput(SafetensorsFile file, LayerCaseDescription about)
    {
        string[] names = about.IsRouter ? ["input.logits", "input.logits.0", "input.x"] : ["input.x"];
        string name = names.FirstOrDefault(file.Tensors.ContainsKey)
            ?? throw new CheckpointException(file.Path, $"There is no tensor '{names[0]}', which a {about.Kind} case starts from.");
        var main = file.Tensors[name];
        return main.Shape.Count == 3 ? main : throw new CheckpointException(file.Path, $"Tensor '{name}' has shape {CaseTensor.Text(main.Shape)}; expected [batch, sequence, {(name == "input.x" ? "hidden" : "experts")}].");
    }

    private static IEnumerable<CaseTensor> Inputs(SafetensorsFile file, LayerCaseDescription about, long B, long S)
    {
        var (router, D) = (about.Options.Router, about.Options.HiddenSize);
        long E = router.ExpertCount;
        var logits = about.IsRouter ? Logits(file) : [];

        foreach (string name in logits) yield return new(name, TensorType.F32, [B, S, E], IsNeeded: true);
        if (logits.Count == 0) yield return new("input.x", TensorType.F32, [B, S, D], IsNeeded: true);
        if (!about.IsRouter) yield return new("input.router_x", TensorType.F32, [B, S, D]);
        yield return new("input.mask", TensorType.U8, [B, S]);
        yield return new("input.token_ids", TensorType.I64, [B, S], router.Select is Selection.TokenTable);
        yield return new("input.experts", TensorType.I64, [B, S, Any], router.Select is Selection.Forced);
        for (int round = 0; round < 2; round++)
        {
            bool isNeeded = about.IsTraining && router.Select is Selection.SparseMixer;
            yield return new($"input.noise.exponential.{round}", TensorType.F32, [B, S, E], isNeeded);
            yield return new($"input.noise.uniform.{round}", TensorType.F32, [B, S], isNeeded);
        }
    }

    private static IEnumerable<CaseTensor> Outputs(SafetensorsFile file, LayerCaseDescription about, long B, long S)
    {
        var router = about.Options.Router;
        long E = router.ExpertCount, K = router.Select is Selection.ExpertChoice || file.Tensors.ContainsKey("input.experts") ? Any : router.TopK;

        if (!about.IsRouter) yield return new("output.y", TensorType.F32, [B, S, about.Options.HiddenSize]);
        if (!about.IsRouter) yield return new("upstream.y", TensorType.F32, [B, S, about.Options.HiddenSize]);
        yield return new("upstream.probs", TensorType.F32, [B, S, E]);
        yield return new("output.expert_ids", TensorType.I64, [B, S, K]);
        yield return new("output.weights", TensorType.F32, [B, S, K]);
        yield return new("output.probs", TensorType.F32, [B, S, E]);
        yield return new("output.map", TensorType.U8, [B, S, E]);
        foreach (string loss in (string[])["load_balance_loss", "z_loss"]) yield return new($"output.{loss}", TensorType.F32, []);
        string[] biases = [.. about.Options.BalanceBias is null ? [] : (string[])["bias_update", "correction_bias_updated"], .. router.Select is Selection.QuantileBalance ? (string[])["quantile_bias_local", "quantile_bias_updated"] : []];
        foreach (string bias in biases) yield return new($"output.{bias}", TensorType.F32, [E]);
    }

    /// <summary>The gradients of the float inputs and parameters that the file has.</summary>
    private static IEnumerable<CaseTensor> Gradients(SafetensorsFile file, IEnumerable<CaseTensor> inputs) => inputs
        .Where(input => input.Type == TensorType.F32 && !input.Name.StartsWith("input.noise.", StringComparison.Ordinal) && file.Tensors.ContainsKey(input.Name))
        .Select(input => new CaseTensor($"grad.{input.Name}", TensorType.F32, input.Shape));
}
