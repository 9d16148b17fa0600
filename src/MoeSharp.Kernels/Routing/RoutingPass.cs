namespace MoeSharp;

/// <summary>One call of the routing kernel: its pinned inputs and what the steps hand to each other.</summary>
internal sealed unsafe partial class RoutingPass
{
    private readonly RoutingKernel _kernel;
    private readonly MoeOptions _options;
    private readonly RouterOptions _router;
    private readonly int _sequences, _length, _tokens, _experts, _padded;
    private readonly bool _isTraining, _masksRouting;
    private readonly long _step;
    private readonly SparseMixerDraws? _draws;
    private readonly ExpertWeights _finish;
    private readonly TokenChunks _chunks, _groupChunks;
    private readonly (int Groups, int Length) _groups;
    private float* _logits, _bias, _scale, _quantiles, _kept;
    private bool* _mask;
    private long* _ids, _table, _given;
    private int _givenWidth;
    private RoutingPlan? _plan;

    private RoutingPass(RoutingKernel kernel, in RoutingInput input)
    {
        (_kernel, _options, _router) = (kernel, kernel.Options, kernel.Options.Router);
        (_sequences, _length, _tokens) = (input.Sequences, input.SequenceLength, input.Sequences * input.SequenceLength);
        (_experts, _padded) = (_router.ExpertCount, RowMath.Padded(_router.ExpertCount));
        (_isTraining, _step, _draws) = (input.IsTraining, input.Step, input.Draws);
        _masksRouting = _options.MaskScope == MaskScope.All;
        _finish = new ExpertWeights(_router);
        _groups = kernel.Groups(_sequences, _length);
        _chunks = new TokenChunks(1, _tokens);
        _groupChunks = new TokenChunks(_groups.Groups, _groups.Length);
    }

    private RoutingPlan Plan => _plan!;     // set before any step runs

    /// <summary>Runs <paramref name="steps"/> while the spans of the input are pinned.</summary>
    public static TResult With<TResult, TArgument>(RoutingKernel kernel, in RoutingInput input, RoutingPlan? plan, Func<RoutingPass, TArgument, TResult> steps, TArgument argument)
    {
        fixed (float* logits = input.Logits, bias = input.CorrectionBias, scale = input.PerExpertScale, quantiles = input.QuantileBias)
        fixed (bool* mask = input.Mask)
        fixed (long* ids = input.TokenIds, table = input.Table, given = input.Experts)
        {
            var pass = new RoutingPass(kernel, input)
            {
                _logits = logits,
                _bias = kernel.Options.Router.HasCorrectionBias ? bias : null,
                _scale = kernel.Options.Router.HasPerExpertScale ? scale : null,
                _quantiles = quantiles,
                _mask = mask,
                _ids = ids,
                _table = table,
                _given = given,
                _givenWidth = given is null ? 0 : input.Experts.Length / Math.Max(input.Sequences * input.SequenceLength, 1),
                _plan = plan,
            };
            return steps(pass, argument);
        }
    }

    private bool IsCounted(int token) => _mask is null || _mask[token];

    private bool IsRouted(int token) => _mask is null || !_masksRouting || _mask[token];

    /// <summary>Fills the logits of a token and the router's scores of them.</summary>
    private void Score(int token, RowScratch row, out bool hasNaN)
    {
        row.TakeLogits(_logits + (long)token * _experts, _experts);
        row.Max = RowMath.Max(row.Logits, _padded, out hasNaN);
        switch (_router.Score)
        {
            case ScoreFunction.Softmax: Softmax(row); break;
            case ScoreFunction.Sigmoid: RowMath.Sigmoid(row.Logits, row.OwnScores, _padded); break;
            case ScoreFunction.SqrtSoftplus: RowMath.SqrtSoftplus(row.Logits, row.OwnScores, _padded); break;
        }
    }

    private void Softmax(RowScratch row)
    {
        row.Sum = RowMath.ExpSum(row.Logits, row.Softmax, _experts, row.Max);
        RowMath.Scale(row.Softmax, _padded, 1 / row.Sum);
    }

    private float* ScoresOf(RowScratch row) => _router.Score switch
    {
        ScoreFunction.Softmax => row.Softmax,
        ScoreFunction.Identity => row.Logits,
        _ => row.OwnScores,
    };

    /// <summary>The raw weights of a token's experts: their scores, or a softmax over their logits.</summary>
    private void RawWeights(float* scores, float* logits, int* experts, float* raw, int count)
    {
        if (_router.Weights == WeightSource.SoftmaxOfSelected) SoftmaxOfSelected(logits, experts, raw, count);
        else for (int k = 0; k < count; k++) raw[k] = scores[experts[k]];
    }

    private static void SoftmaxOfSelected(float* logits, int* experts, float* raw, int count)
    {
        float max = float.NegativeInfinity, sum = 0;
        for (int k = 0; k < count; k++) max = MathF.Max(max, logits[experts[k]]);
        for (int k = 0; k < count; k++) sum += raw[k] = logits[experts[k]] == max ? 1 : MathF.Exp(logits[experts[k]] - max);
        for (int k = 0; k < count; k++) raw[k] /= sum;
    }

    private void SparseMixer(int token, RowScratch row, bool given, int* experts, float* raw, float* near)
    {
        var mixer = new SparseMixerRow((Selection.SparseMixer)_router.Select, _experts, _isTraining);
        Span<SparseMixerRow.Draws> draws = stackalloc SparseMixerRow.Draws[2];
        if (_isTraining)
        {
            for (int round = 0; round < 2; round++) draws[round] = Draw(token, round, row);
        }

        mixer.Select(row.Logits, given, draws, near, experts, raw);
    }

    private SparseMixerRow.Draws Draw(int token, int round, RowScratch row)
    {
        float* exponentials = row.Draws + round * _padded;
        if (_draws is { } fixedDraws)
        {
            fixedDraws.Exponentials[round].AsSpan(token * _experts, _experts).CopyTo(new Span<float>(exponentials, _experts));
            return new((nint)exponentials, fixedDraws.Uniforms[round][token]);
        }

        var random = new CounterRandom(_router.Seed, _step, round);
        for (int e = 0; e < _experts; e++) exponentials[e] = random.Exponential((long)token * (_experts + 1) + e);
        return new((nint)exponentials, random.Uniform((long)token * (_experts + 1) + _experts));
    }
}
