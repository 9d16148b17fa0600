using System.Buffers;

namespace MoeSharp;

/// <summary>
/// A whole Mixture-of-Experts layer for inference, on spans: a <see cref="GateKernel"/> gives logits, a <see cref="RoutingKernel"/> chooses
/// experts and weights, and an <see cref="ExpertLayer"/> computes them, and the shared expert where there is one. Load the router with the
/// methods below and the experts with those of <see cref="Experts"/>, then call <see cref="Forward(ReadOnlySpan{float}, Span{float}, in MoeCall)"/>.
/// </summary>
/// <remarks>
/// The router computes in float32, whatever the precision of the experts, and never training's forms (jitter, samples, Sinkhorn's
/// normalisation). A token has the same bits for any number of threads and whatever tokens share its call, but for what goes by its place
/// (<see cref="Selection.Random"/>, <see cref="Selection.RoundRobin"/>) or looks at all tokens (<see cref="Selection.ExpertChoice"/>,
/// capacities, receive buffers). Every member may be called from many threads at once; loading a part again replaces it: do so while no call
/// runs, which would read some of both.
/// </remarks>
public sealed class MoeLayer : IDisposable
{
    private readonly GateKernel _gate;
    private readonly RoutingKernel _routing;
    private readonly LayerValues<float> _correctionBias, _quantileBias, _perExpertScale;
    private readonly LayerValues<long> _tokenTable;
    private readonly ILayerPart[] _routerParts, _parts;
    private readonly UseCount _uses;

    /// <summary>Makes room for the weights of the router and of all experts.</summary>
    /// <param name="options">The layer; its losses and what concerns training are ignored.</param>
    /// <param name="precision">The type in which the experts' weights are kept and multiplied, whatever type they are loaded from; default float32.</param>
    /// <exception cref="ArgumentException">The options have faults, which the message lists, or a size above 2²⁴.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the weights.</exception>
    public MoeLayer(MoeOptions options, ExpertPrecision precision = ExpertPrecision.Float32)
    {
        Experts = new ExpertLayer(options, precision);
        _gate = new GateKernel(options);
        _routing = new RoutingKernel(options);
        _uses = new UseCount(Free);

        var (E, K, router) = (options.Router.ExpertCount, options.Router.TopK, options.Router);
        int ids = router.Select is Selection.TokenTable table ? table.VocabularySize : 0;
        _correctionBias = new("correction bias", E, "ExpertCount", "Router.HasCorrectionBias", router.HasCorrectionBias);
        _quantileBias = new("quantile bias", E, "ExpertCount", "Router.Select to QuantileBalance", router.Select is Selection.QuantileBalance);
        _perExpertScale = new("per-expert scale", E, "ExpertCount", "Router.HasPerExpertScale", router.HasPerExpertScale);
        _tokenTable = new("token table", (long)ids * K, $"VocabularySize {ids} · TopK {K}", "Router.Select to TokenTable", ids > 0);
        _routerParts = [.. _gate.Parts, _correctionBias, _quantileBias, _perExpertScale, _tokenTable];
        _parts = [.. _routerParts, .. Experts.Parts];
    }

    /// <summary>What the layer was made from.</summary>
    public MoeOptions Options => Experts.Options;

    /// <summary>The type in which the experts' weights are kept and multiplied.</summary>
    public ExpertPrecision Precision => Experts.Precision;

    /// <summary>The experts, the shared one too: load their weights and biases here. Disposed with the layer.</summary>
    public ExpertLayer Experts { get; }

    /// <summary>The bytes that the packed weights of router and experts take, from the constructor to the disposal.</summary>
    public long PackedBytes => _gate.PackedBytes + Experts.PackedBytes;

    /// <summary>Packs the router's matrix, which is kept in float32.</summary>
    /// <param name="weight">The matrix [E, D], rows are experts.</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadRouter(ReadOnlySpan<float> weight) => _gate.LoadWeight(weight);

    /// <summary>Packs the router's matrix from the bits of bfloat16, as files have them.</summary>
    /// <inheritdoc cref="LoadRouter(ReadOnlySpan{float})"/>
    public void LoadRouter(ReadOnlySpan<ushort> weight) => _gate.LoadWeight(weight);

    /// <summary>Takes the bias that is added to the logits (<see cref="RouterOptions.HasLogitBias"/>).</summary>
    /// <param name="bias">The bias [E].</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have no such bias.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadLogitBias(ReadOnlySpan<float> bias) => _gate.LoadBias(bias);

    /// <summary>Takes the scale of what the router reads, normalised (<see cref="RouterInputNorm.HasScale"/>).</summary>
    /// <param name="scale">The scale [D], as files have it: without the factor D^-1/2.</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have no such scale.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadInputScale(ReadOnlySpan<float> scale) => _gate.LoadScale(scale);

    /// <summary>Takes the bias on the scores for the selection only (<see cref="RouterOptions.HasCorrectionBias"/>).</summary>
    /// <param name="bias">The bias [E].</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have no such bias.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadCorrectionBias(ReadOnlySpan<float> bias) => Load(_correctionBias, bias, nameof(bias));

    /// <summary>Takes the bias that <see cref="Selection.QuantileBalance"/> takes off the logits for the selection.</summary>
    /// <param name="bias">The bias [E].</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have another selection.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadQuantileBias(ReadOnlySpan<float> bias) => Load(_quantileBias, bias, nameof(bias));

    /// <summary>Takes the scale of each expert's weight (<see cref="RouterOptions.HasPerExpertScale"/>).</summary>
    /// <param name="scale">The scale [E].</param>
    /// <exception cref="ArgumentException">The span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">The options have no such scale.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadPerExpertScale(ReadOnlySpan<float> scale) => Load(_perExpertScale, scale, nameof(scale));

    /// <summary>Takes the experts of each token id (<see cref="Selection.TokenTable"/>).</summary>
    /// <param name="table">The table [V, K] of experts, 0 to E - 1.</param>
    /// <exception cref="ArgumentException">The span has the wrong length, or there is no such expert.</exception>
    /// <exception cref="InvalidOperationException">The options have another selection.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public void LoadTokenTable(ReadOnlySpan<long> table)
    {
        _tokenTable.Check(table.Length, nameof(table));
        RoutingInputCheck.Experts(table, 0, Options.Router, nameof(table));
        Load(_tokenTable, table, nameof(table));
    }

    /// <summary>Runs the layer on tokens of one sequence that all count.</summary>
    /// <inheritdoc cref="Forward(ReadOnlySpan{float}, Span{float}, in MoeCall)"/>
    public RoutingPlan Forward(ReadOnlySpan<float> tokens, Span<float> output) => Forward(tokens, output, default(MoeCall));

    /// <summary>Runs the layer. Once a call of as many tokens was made, nothing is allocated but what routing does: the plan.</summary>
    /// <param name="tokens">The tokens [T, D].</param>
    /// <param name="output">Receives the output [T, D]. May not overlap the tokens. After an error its content means nothing.</param>
    /// <param name="call">What the call brings besides.</param>
    /// <returns>Which experts each token went to, with which weights.</returns>
    /// <exception cref="ArgumentException">A span has the wrong length, is missing though the options ask for it, or overlaps; an id lies outside the table.</exception>
    /// <exception cref="InvalidOperationException">Something was not loaded; the message lists all that is missing.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the rows of the plan.</exception>
    /// <exception cref="MoeException">The routing of a token is not a number; the message names the token.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed. Calls that run by then end as if it were not.</exception>
    public RoutingPlan Forward(ReadOnlySpan<float> tokens, Span<float> output, in MoeCall call)
    {
        using var use = _uses.Enter(this);
        ILayerPart.Require(_parts);
        LayerCheck.Length(output.Length, tokens.Length, nameof(output), "as the tokens");
        if (output.Overlaps(tokens)) throw new ArgumentException("The output overlaps the tokens; give memory of its own.", nameof(output));

        var plan = Plan(tokens, [], call);
        Experts.Forward(tokens, plan, output);
        return plan;
    }

    /// <summary>Runs only the experts, by a plan of <see cref="Route"/> or of another kernel for as many experts; needs no router to be loaded.</summary>
    /// <inheritdoc cref="ExpertLayer.Forward"/>
    public void Forward(ReadOnlySpan<float> tokens, RoutingPlan plan, Span<float> sums)
    {
        using var use = _uses.Enter(this);
        Experts.Forward(tokens, plan, sums);
    }

    /// <summary>Runs only the router, which needs no expert to be loaded.</summary>
    /// <param name="tokens">The tokens [T, D].</param>
    /// <param name="logits">Receives the logits [T, E], with the logit bias; empty when they are not wanted.</param>
    /// <param name="call">What the call brings besides.</param>
    /// <returns>Which experts each token goes to, with which weights.</returns>
    /// <exception cref="ArgumentException">A span has the wrong length or is missing though the options ask for it; an id lies outside the table.</exception>
    /// <exception cref="InvalidOperationException">A part of the router was not loaded; the message lists all that are missing.</exception>
    /// <exception cref="MoeException">The routing of a token is not a number; the message names the token.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public RoutingPlan Route(ReadOnlySpan<float> tokens, Span<float> logits = default, in MoeCall call = default)
    {
        using var use = _uses.Enter(this);
        ILayerPart.Require(_routerParts);
        return Plan(tokens, logits, call);
    }

    /// <summary>Frees the weights, once calls that run have ended; it does not wait for them. Later calls throw <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose() => _uses.Close();

    private void Load<T>(LayerValues<T> part, ReadOnlySpan<T> values, string parameter)
        where T : unmanaged
    {
        using var use = _uses.Enter(this);
        part.Load(values, parameter);
    }

    private RoutingPlan Plan(ReadOnlySpan<float> tokens, Span<float> logits, in MoeCall call)
    {
        int count = LayerCheck.Rows(tokens.Length, Options.HiddenSize, nameof(tokens)), sequences = call.Sequences ?? 1;
        if (sequences < 1 || count % sequences != 0) throw new ArgumentException($"{count} tokens are not {sequences} sequences of equal length.", nameof(call));
        var input = call.RouterInput.IsEmpty ? tokens : call.RouterInput;
        LayerCheck.Length(input.Length, tokens.Length, nameof(call.RouterInput), "as the tokens");

        float[] own = logits.IsEmpty ? ArrayPool<float>.Shared.Rent(checked(count * Options.Router.ExpertCount)) : [];
        if (logits.IsEmpty) logits = own.AsSpan(0, count * Options.Router.ExpertCount);
        _gate.Forward(input, logits);
        var plan = _routing.Route(new RoutingInput
        {
            Logits = logits,
            Sequences = sequences,
            SequenceLength = count / sequences,
            Step = call.Step,
            CorrectionBias = _correctionBias.Values,
            PerExpertScale = _perExpertScale.Values,
            QuantileBias = _quantileBias.Values,
            Mask = call.Mask,
            TokenIds = call.TokenIds,
            Table = _tokenTable.Values,
            Experts = call.Experts,
        });
        ArrayPool<float>.Shared.Return(own);
        return plan;
    }

    private void Free()
    {
        _gate.Dispose();
        Experts.Dispose();
    }
}
