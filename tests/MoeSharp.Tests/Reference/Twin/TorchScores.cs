using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>The functions from logits [T, E] to scores [T, E], and the scores that losses average.</summary>
internal static class TorchScores
{
    public static Tensor Of(ScoreFunction function, Tensor logits) => function switch
    {
        ScoreFunction.Softmax => logits.softmax(-1),
        ScoreFunction.Sigmoid => logits.sigmoid(),
        ScoreFunction.SqrtSoftplus => nn.functional.softplus(logits).sqrt(),
        _ => logits,
    };

    public static Tensor Of(ScoreKind kind, Tensor logits, Tensor scores, Tensor? bias) => kind.Scores switch
    {
        BalanceScores.Softmax => logits.softmax(-1),
        BalanceScores.RouterNormalized => scores / (scores.sum(-1, keepdim: true) + kind.Epsilon),
        BalanceScores.SoftmaxOfBiasedScore => (bias is null ? scores : scores + bias).softmax(-1),
        _ => scores,
    };
}
