namespace MoeSharp;

/// <summary>From the raw weights of a token's experts to the final ones: renormalise, × scale, × per-expert scale; and back.</summary>
internal readonly unsafe struct ExpertWeights(RouterOptions options)
{
    private readonly Renormalization _renormalize = options.Renormalize;
    private readonly float _epsilon = (float)options.RenormalizeEpsilon, _power = (float)options.RenormalizePower, _scale = (float)options.Scale;

    /// <summary>The final weights of <paramref name="count"/> experts.</summary>
    /// <param name="raw">Their raw weights.</param>
    /// <param name="experts">Their ids.</param>
    /// <param name="perExpert">The scale of every expert [E]; null for none.</param>
    /// <param name="weights">Receives the result.</param>
    /// <param name="count">How many.</param>
    public void Finish(float* raw, int* experts, float* perExpert, float* weights, int count)
    {
        float divisor = Divisor(raw, count);
        for (int k = 0; k < count; k++)
        {
            float weight = raw[k] / divisor * _scale;
            weights[k] = perExpert is null ? weight : weight * perExpert[experts[k]];
        }
    }

    /// <summary>Turns the gradients of final weights into those of raw ones, in place, and adds those of the per-expert scale.</summary>
    public void Backward(float* raw, int* experts, float* perExpert, float* gradients, float* perExpertGradients, int count)
    {
        float divisor = Divisor(raw, count);
        for (int k = 0; k < count; k++)
        {
            if (perExpert is not null)
            {
                perExpertGradients[experts[k]] += gradients[k] * (raw[k] / divisor * _scale);
                gradients[k] *= perExpert[experts[k]];
            }

            gradients[k] *= _scale;
        }

        if (_renormalize == Renormalization.Never) return;

        float inner = 0;
        for (int k = 0; k < count; k++) inner += gradients[k] * raw[k];
        float norm = divisor - _epsilon, slope = inner / (divisor * divisor);
        for (int k = 0; k < count; k++) gradients[k] = gradients[k] / divisor - slope * NormSlope(raw[k], norm);
    }

    private float Divisor(float* raw, int count)
    {
        if (_renormalize == Renormalization.Never) return 1;
        if (_renormalize == Renormalization.PNorm) return Norm(raw, count) + _epsilon;

        float sum = 0;
        for (int k = 0; k < count; k++) sum += raw[k];
        return sum + _epsilon;
    }

    private float Norm(float* raw, int count)
    {
        float sum = 0;
        for (int k = 0; k < count; k++) sum += MathF.Pow(MathF.Abs(raw[k]), _power);
        return MathF.Pow(sum, 1 / _power);
    }

    // d norm / d w: 1 for a plain sum, sign(w) · (|w| / norm)^(p - 1) for a p-norm
    private float NormSlope(float weight, float norm) =>
        _renormalize == Renormalization.Always ? 1 : weight == 0 ? 0 : MathF.Sign(weight) * MathF.Pow(MathF.Abs(weight) / norm, _power - 1);
}
