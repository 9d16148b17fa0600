using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The functions from logits [T, E] to scores [T, E].</summary>
internal static class Scores
{
    public static Func<Tensor, Tensor> Function(ScoreFunction function) => function switch
    {
        ScoreFunction.Softmax => logits => logits.softmax(-1),
        ScoreFunction.Sigmoid => logits => logits.sigmoid(),
        ScoreFunction.SqrtSoftplus => logits => nn.functional.softplus(logits).sqrt(),
        ScoreFunction.Identity => logits => logits,
        _ => throw new ArgumentOutOfRangeException(nameof(function), function, "No such score function."),
    };
}
