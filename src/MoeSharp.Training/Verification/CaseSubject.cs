using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Training;

/// <summary>What a case is a case of: a layer of ours with the case's parameters, or its router alone.</summary>
internal abstract class CaseSubject : IDisposable
{
    private readonly Dictionary<string, Tensor> _parameters = [];

    /// <summary>Parameters and buffers by their names in a case, without "param.".</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => _parameters;

    /// <summary>A whole layer, or its router alone; options of the latter are those of <see cref="LayerCaseDescription.RouterAlone"/>.</summary>
    public static CaseSubject Create(MoeOptions options, bool isRouter, bool readsLogits, bool isTraining) =>
        isRouter ? new RouterSubject(options, readsLogits, isTraining) : new LayerSubject(options, isTraining);

    /// <summary>Copies values into the parameters and buffers.</summary>
    public void Load(Func<string, Tensor> valuesOf)
    {
        using var _ = no_grad();
        foreach (var (name, own) in _parameters)
        {
            using var scope = NewDisposeScope();
            own.copy_(valuesOf(name));
        }
    }

    /// <summary>Computes outputs and what their gradients need; the tensors belong to the caller's dispose scope.</summary>
    public abstract CaseResults Run(CaseInputs inputs);

    public abstract void Dispose();

    /// <summary>The parameters and buffers of a layer by their names in a case.</summary>
    public static IEnumerable<(string Name, Tensor Values)> ParametersOf(Module layer) => layer.state_dict().Select(entry => (CaseName(entry.Key), entry.Value));

    protected void Add(IEnumerable<(string Name, Tensor Values)> parameters)
    {
        foreach (var (name, values) in parameters) _parameters.Add(name, values);
    }

    private static string CaseName(string key)
    {
        string name = key.StartsWith("routed.", StringComparison.Ordinal) ? key["routed.".Length..] : key;
        return name.StartsWith("gate.", StringComparison.Ordinal) ? $"router.{name["gate.".Length..]}" : name;
    }
}

/// <summary>A whole layer.</summary>
internal sealed class LayerSubject : CaseSubject
{
    private readonly Module<Tensor, MoeOutput> _layer;

    public LayerSubject(MoeOptions options, bool isTraining)
    {
        _layer = options.Shared is null ? new RoutedMoE(options) : new RoutedAndSharedMoE(options);
        _layer.train(isTraining);
        Add(ParametersOf(_layer));
    }

    public override CaseResults Run(CaseInputs inputs)
    {
        var hidden = inputs.Hidden!;        // a layer case has them
        var routed = _layer as RoutedMoE ?? ((RoutedAndSharedMoE)_layer).Routed;
        var plan = routed.Plan(hidden, inputs.Call);
        var output = _layer is RoutedAndSharedMoE both ? both.forward(hidden, inputs.Call) : routed.forward(hidden, inputs.Call);
        return new(routed.Options, _layer.training, this)
        {
            Hidden = output.Hidden,
            Routing = [(plan, output.Statistics)],
            Leading = hidden.shape[..2],
        };
    }

    public override void Dispose() => _layer.Dispose();
}

/// <summary>A router from logits, or with its matrix from hidden states.</summary>
internal sealed class RouterSubject : CaseSubject
{
    private readonly MoeOptions _options;
    private readonly Router _router;
    private readonly RouterJitter _jitter;
    private readonly GateLogit? _gate;
    private readonly Parameter? _bias;      // of logits; a gate has its own

    public RouterSubject(MoeOptions options, bool readsLogits, bool isTraining)
    {
        var router = options.Router;
        _options = options;
        _router = new Router(options, device: null);
        _router.train(isTraining);
        _jitter = new RouterJitter(router);
        _gate = readsLogits ? null : new GateLogit(options.HiddenSize, router.ExpertCount, router.HasLogitBias, inputNorm: router.InputNorm);
        _bias = readsLogits && router.HasLogitBias ? new Parameter(zeros(router.ExpertCount)) : null;

        Add(_router.state_dict().Select(entry => ($"router.{entry.Key}", entry.Value)));
        if (_gate is not null) Add(_gate.state_dict().Select(entry => ($"router.{entry.Key}", entry.Value)));
        if (_bias is not null) Add([("router.bias", _bias)]);
    }

    public override CaseResults Run(CaseInputs inputs)
    {
        var logits = _gate is null ? inputs.Logits.Select(layer => _bias is null ? layer.Values : layer.Values + _bias) : [_gate.call(Read(inputs))];
        return new(_options, _router.training, this)
        {
            Routing = [.. logits.Select(values => _router.Route(_jitter.OfLogits(values, Step(inputs), _router.training), inputs.Call, Step(inputs)))],
            Leading = (inputs.Hidden ?? inputs.Logits[0].Values).shape[..2],
        };
    }

    // as the layer does before its gate
    private Tensor Read(CaseInputs inputs)
    {
        var hidden = inputs.Hidden!;        // a router with a gate reads hidden states
        var counted = inputs.Call.TokenMask is { } mask && _options.MaskScope == MaskScope.All ? hidden.masked_fill(mask.logical_not().unsqueeze(-1), 0) : hidden;
        return _jitter.OfInput(counted, Step(inputs), _router.training);
    }

    private static long Step(CaseInputs inputs) => inputs.Call.Step ?? 0;

    public override void Dispose()
    {
        _router.Dispose();
        _gate?.Dispose();
        _bias?.Dispose();
    }
}
