using static TorchSharp.torch;

namespace MoeSharp.Comparison;

/// <summary>The weights of a layer as an operator of ONNX Runtime takes them.</summary>
internal interface IMoeWeights : IDisposable
{
    /// <summary>MoE or QMoE.</summary>
    string Operator { get; }

    /// <summary>The operator's inputs after tokens and router: names of initializers, empty where one is left out.</summary>
    IReadOnlyList<string> Inputs { get; }

    /// <summary>The attributes that only this operator has.</summary>
    IReadOnlyList<(string Name, long Value)> Attributes { get; }

    /// <summary>The values, which live as long as this.</summary>
    IReadOnlyList<(string Name, Tensor Values)> Initializers { get; }
}
