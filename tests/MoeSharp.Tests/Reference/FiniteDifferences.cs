namespace MoeSharp.Tests;

/// <summary>Central differences of the loss of <see cref="NaiveMoe"/>, in double precision: gradients that know no autograd.</summary>
internal sealed class FiniteDifferences
{
    private const double Step = 1e-5;
    private readonly MoeOptions _options;
    private readonly Dictionary<string, double[]> _parameters;
    private readonly double[] _tokens;
    private readonly double[] _upstream;

    public FiniteDifferences(MoeOptions options, Dictionary<string, double[]> parameters, double[] tokens, double[] upstream)
    {
        (_options, _parameters, _tokens, _upstream) = (options, parameters, tokens, upstream);
        var reference = new NaiveMoe(options, parameters);
        reference.Forward(tokens);
        IsSmooth = reference.Margin > 1e-3 && reference.ClampDistance > 1e-3; // no step may change a selection or cross a clamp
    }

    public bool IsSmooth { get; }

    public double[] OfTokens() => Of(_tokens);

    public double[] Of(string parameter) => Of(_parameters[parameter]);

    private double[] Of(double[] variable)
    {
        var gradient = new double[variable.Length];
        for (int i = 0; i < variable.Length; i++)
        {
            double value = variable[i];
            variable[i] = value + Step;
            double above = Loss();
            variable[i] = value - Step;
            double below = Loss();
            variable[i] = value;
            gradient[i] = (above - below) / (2 * Step);
        }

        return gradient;
    }

    // the load f is a count: constant under small steps, as autograd takes it
    private double Loss()
    {
        var reference = new NaiveMoe(_options, _parameters);
        var output = reference.Forward(_tokens);
        double[][] logits = [.. _tokens.Chunk(_options.HiddenSize).Select(reference.Logits)];
        int T = logits.Length;

        double balance = 0;
        for (int e = 0; e < _options.Router.ExpertCount; e++)
        {
            double load = reference.Selected.Sum(ids => ids.Count(id => id == e)) / (double)T;
            balance += load * logits.Average(z => NaiveMoe.Softmax(z)[e]);
        }

        balance *= _options.Router.ExpertCount;
        double z = logits.Average(row => Math.Pow(NaiveMoe.LogSumExp(row), 2));
        return output.Zip(_upstream, (y, u) => y * u).Sum() + (0.3 * balance) + (0.2 * z);
    }
}
