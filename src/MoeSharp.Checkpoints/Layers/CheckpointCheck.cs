namespace MoeSharp.Checkpoints;

/// <summary>Holds the tensors of a checkpoint against its config: all parameters of MoE layers are there, and nothing else is in them.</summary>
internal sealed class CheckpointCheck(ModelDescription model, ITensorSource source, LayerPlace place, IWeightIndex index)
{
    private static readonly string[] Embeddings =
        ["model.embed_tokens.weight", "model.language_model.embed_tokens.weight", "language_model.model.embed_tokens.weight", "language_model.embed_tokens.weight", "thinker.model.embed_tokens.weight", "embed_tokens.weight", "embed.weight", "tok_embeddings.weight", "transformer.wte.weight", "wte.weight"];

    // parts of names, whatever the family, of tensors that are no part of a MoE layer
    private static readonly string[] KnownParts =
        ["norm", "attn", "attention", "mamba", "conv", "mixer", "embed", "lm_head", "head", "rotary", "mtp", "visual", "vision", "audio", "talker", "code2wav", "projector", "mlp", "feed_forward", "ffn", "shared_mlp", "hc_", "layer_scalar", "layer_scale", "per_layer", "eh_proj", "wte", "embd", "output", "rope_freqs", "rope_factors", "indexer", "ssm"];

    private const int EnoughFaults = 10_000;       // a config may ask for a billion tensors that are not there
    private const int LayersAtOnce = 16;

    private readonly List<string> _faults = [];
    private readonly List<string> _warnings = [];
    private readonly Dictionary<int, HashSet<string>> _used = [];       // the tensors of each layer

    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Throws one <see cref="CheckpointException"/> that lists all that is wrong.</summary>
    public void Run()
    {
        foreach (int[] layers in model.HeldMoeLayers.Chunk(LayersAtOnce))
        {
            if (_faults.Count <= EnoughFaults) CheckLayers(layers);
        }

        CheckEmbedding();
        CheckOthers();
        if (_faults.Count > 0) throw CheckpointException.Listing(source.Path, _faults);
    }

    /// <summary>Finds the parameters of some layers, of several at once; what is wrong is told in their order.</summary>
    private void CheckLayers(int[] layers)
    {
        foreach (var (layer, used, faults) in OrderedParallel.Select(layers, Resolve, CancellationToken.None))
        {
            _used.Add(layer, used);
            if (_faults.Count <= EnoughFaults) _faults.AddRange(faults);
        }
    }

    private (int Layer, HashSet<string> Used, List<string> Faults) Resolve(int layer)
    {
        var (used, faults) = (new HashSet<string>(), new List<string>());
        LayerResolver.Resolve(index, place, model.Quantization, layer, model.Moe(layer), used, faults);
        return (layer, used, faults);
    }

    private void CheckEmbedding()
    {
        foreach (string name in Embeddings)
        {
            if (source.Tensors.TryGetValue(name, out var tensor) && PlainMatrix.Types.Contains(tensor.Type) && !tensor.Shape.SequenceEqual([model.VocabularySize, model.HiddenSize]))
                _faults.Add($"Tensor {TensorName.Quote(name)} has the shape [{string.Join(", ", tensor.Shape)}]; the config asks for [{model.VocabularySize}, {model.HiddenSize}].");
        }
    }

    private void CheckOthers()
    {
        foreach (string tensor in source.Tensors.Keys)
        {
            bool isOfLayer = place.TryParse(tensor, out int layer, out var name);
            if (isOfLayer && _used.TryGetValue(layer, out var used) && used.Contains(tensor)) continue;
            if (isOfLayer && layer >= model.Layers.Count) continue;      // layers for predicting several tokens at once

            bool isSparse = isOfLayer && model.Layers[layer] is MlpOptions.Sparse;
            if (isOfLayer && !isSparse && place.IsOfMoe(name)) _faults.Add($"Tensor {TensorName.Quote(tensor)} is of a Mixture of Experts, but by the config layer {layer} is dense.");
            else if (isSparse && IsUnexpected(name.ToString())) _faults.Add($"Tensor {TensorName.Quote(tensor)} is not part of the layer that the config describes.");
            else if (!KnownParts.Any(part => tensor.Contains(part, StringComparison.OrdinalIgnoreCase))) _warnings.Add($"Tensor {TensorName.Quote(tensor)} is none that models of this family are known to have; it is not used.");
        }
    }

    private bool IsUnexpected(string name) =>
        place.Layout.Scopes.Any(scope => name.StartsWith(scope, StringComparison.Ordinal)) && !place.Layout.Beside.Contains(name) && !QuantizedNames.Activations.Any(ending => name.EndsWith(ending, StringComparison.Ordinal));
}
