namespace MoeSharp;

/// <summary>The function from router logits to scores.</summary>
public enum ScoreFunction
{
    /// <summary>softmax over all experts (Mixtral, Qwen, OLMoE).</summary>
    Softmax,

    /// <summary>1 / (1 + e^-z) per expert (DeepSeek-V3, Llama 4, MiniMax-M2).</summary>
    Sigmoid,

    /// <summary>sqrt(log(1 + e^z)) per expert (DeepSeek-V4).</summary>
    SqrtSoftplus,

    /// <summary>The logits themselves.</summary>
    Identity,
}

/// <summary>Where the weights of the selected experts come from.</summary>
public enum WeightSource
{
    /// <summary>Their scores, without the correction bias.</summary>
    Score,

    /// <summary>A softmax over the K selected logits (GPT-OSS, Granite); the correction bias is not in them.</summary>
    SoftmaxOfSelected,
}

/// <summary>Whether the weights of a token are made to sum to one (times the scale).</summary>
public enum Renormalization
{
    /// <summary>The weights stay as they are.</summary>
    Never,

    /// <summary>The weights are divided by their sum plus epsilon.</summary>
    Always,

    /// <summary>The weights are divided by their p-norm plus epsilon, (Σ |w|^p)^(1/p) (DBRX).</summary>
    PNorm,
}

/// <summary>What a routing weight multiplies.</summary>
public enum WeightTarget
{
    /// <summary>The expert's output.</summary>
    Output,

    /// <summary>The expert's input; outputs are then added unweighted (Llama 4).</summary>
    Input,
}
