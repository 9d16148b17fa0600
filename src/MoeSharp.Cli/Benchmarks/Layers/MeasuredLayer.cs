using TorchSharp;
using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>The parameters of one layer, which all engines share.</summary>
internal sealed class MeasuredLayer : IDisposable
{
    private readonly Dictionary<LayerEngine, IExpertCompute> _engines = [];

    public MeasuredLayer(LayerShape shape, ProductType type)
    {
        (Shape, Type) = (shape, type);
        using var random = new RepeatedWeights(seed: 7);
        Experts = new Experts(shape.ToOptions(ExpertBackend.Auto).Experts, shape.Experts, shape.HiddenSize, device: null, random.Next);
        if (type == ProductType.Bf16) Experts.to(bfloat16);
    }

    public LayerShape Shape { get; }

    public ProductType Type { get; }

    public Experts Experts { get; }

    /// <summary>The type of tokens and parameters.</summary>
    public ScalarType ScalarType => Type == ProductType.Bf16 ? bfloat16 : float32;

    public int ElementSize => Type == ProductType.Bf16 ? 2 : 4;

    /// <summary>An engine on these parameters, made when first asked for.</summary>
    public IExpertCompute Compute(LayerEngine engine) => _engines.TryGetValue(engine, out var known) ? known : _engines[engine] = engine.Create(this);

    public void Dispose()
    {
        foreach (var engine in _engines.Values.OfType<IDisposable>()) engine.Dispose();
        Experts.Dispose();
    }
}
