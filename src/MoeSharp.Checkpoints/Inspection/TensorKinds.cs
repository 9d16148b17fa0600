namespace MoeSharp.Checkpoints;

/// <summary>Tells what a tensor is for by its name: those of MoE layers by the family's layout, the rest by words that all families use.</summary>
internal sealed class TensorKinds(ModelDescription model, LayerPlace place)
{
    private static readonly string[] Extras = ["mtp", "vision", "visual", "audio", "talker", "code2wav", "projector"];
    private static readonly string[] Mixers = ["attn", "attention", "mamba", "conv", "mixer", "indexer"];
    private static readonly string[] Mlps = ["mlp", "feed_forward", "ffn", "block_sparse_moe", "shared_mlp"];
    private static readonly string[] Heads = ["lm_head", "head", "output"];

    /// <summary>What a tensor is for.</summary>
    /// <param name="tensor">Its name.</param>
    /// <param name="layer">The layer that it is in; null for none.</param>
    public TensorKind Of(string tensor, out int? layer)
    {
        bool isOfLayer = place.TryParse(tensor, out int index, out var name);
        layer = isOfLayer ? index : null;
        if (isOfLayer) return index >= model.Layers.Count ? TensorKind.Extras : place.KindOf(name) ?? InLayer(name);

        return Array.Exists(Extras, word => tensor.Contains(word, StringComparison.OrdinalIgnoreCase)) ? TensorKind.Extras : IsEmbedding(tensor) ? TensorKind.Embeddings : InLayer(tensor);
    }

    /// <summary>Whether a tensor is the output head, which a model with tied embeddings does not use.</summary>
    public static bool IsHead(string tensor)
    {
        foreach (var part in tensor.AsSpan().Split('.'))
        {
            if (Heads.Contains(tensor[part])) return true;
        }

        return false;
    }

    private static bool IsEmbedding(string tensor) =>
        tensor.Contains("embed", StringComparison.Ordinal) || tensor.Contains("token_embd", StringComparison.Ordinal) || tensor.Contains("wte", StringComparison.Ordinal) || IsHead(tensor);

    private static TensorKind InLayer(ReadOnlySpan<char> name)
    {
        foreach (var part in name.Split('.'))
        {
            string word = name[part].ToString();
            if (word.Contains("norm", StringComparison.Ordinal)) continue;      // norm_attn_norm.attn.Wqkv is of the attention
            if (Array.Exists(Mixers, mixer => word.Contains(mixer, StringComparison.Ordinal))) return TensorKind.Attention;
            if (Mlps.Contains(word) || word.StartsWith("ffn_", StringComparison.Ordinal)) return TensorKind.DenseMlps;
        }

        return TensorKind.Other;
    }
}
