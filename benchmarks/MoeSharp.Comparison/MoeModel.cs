using MoeSharp.Cli;
using static TorchSharp.torch;

namespace MoeSharp.Comparison;

/// <summary>
/// An ONNX model of one node, com.microsoft.MoE or com.microsoft.QMoE: written by hand, it needs no package. Its weights are initializers, which
/// the operators may pack when the session starts, as in a model from a file; their values are given to the session apart.
/// </summary>
internal static class MoeModel
{
    public const string Tokens = "tokens", Router = "router", Sums = "sums";

    /// <summary>The file beside the model that the initializers are said to lie in.</summary>
    public const string ValuesFile = "values";

    private const int IntermediateRepresentation = 8, Opset = 17;

    // TensorProto.DataType and TensorProto.DataLocation
    private const int Float = 1, UnsignedByte = 2, External = 1;

    // AttributeProto.AttributeType
    private const int FloatAttribute = 1, IntAttribute = 2, StringAttribute = 3;

    /// <summary>The model of a shape; the number of tokens is open.</summary>
    public static byte[] Bytes(LayerShape shape, IMoeWeights weights) => new ProtobufMessage()
        .Number(1, IntermediateRepresentation)
        .Part(7, new ProtobufMessage()
            .Part(1, Node(shape, weights))
            .Text(2, "layer")
            .Parts(5, weights.Initializers.Select(Initializer))
            .Part(11, Rows(Tokens, shape.HiddenSize))
            .Part(11, Rows(Router, shape.Experts))
            .Part(12, Rows(Sums, shape.HiddenSize)))
        .Part(8, new ProtobufMessage().Text(1, "").Number(2, Opset))
        .Part(8, new ProtobufMessage().Text(1, "com.microsoft").Number(2, 1))
        .ToArray();

    // gate · sigmoid(gate) · up, gate and up in turn; the biases are left out
    private static ProtobufMessage Node(LayerShape shape, IMoeWeights weights)
    {
        var node = new ProtobufMessage();
        foreach (string input in weights.Inputs.Prepend(Router).Prepend(Tokens)) node.Text(1, input);
        return node
            .Text(2, Sums)
            .Text(4, weights.Operator)
            .Part(5, Attribute("k", shape.TopK))
            .Part(5, new ProtobufMessage().Text(1, "activation_type").Number(20, StringAttribute).Text(4, "swiglu"))
            .Part(5, Attribute("swiglu_fusion", 1))
            .Part(5, Attribute("activation_alpha", 1f))
            .Part(5, Attribute("activation_beta", 0f))
            .Part(5, Attribute("normalize_routing_weights", 1))
            .Parts(5, weights.Attributes.Select(attribute => Attribute(attribute.Name, attribute.Value)))
            .Text(7, "com.microsoft");
    }

    private static ProtobufMessage Attribute(string name, long value) => new ProtobufMessage().Text(1, name).Number(20, IntAttribute).Number(3, value);

    private static ProtobufMessage Attribute(string name, float value) => new ProtobufMessage().Text(1, name).Number(20, FloatAttribute).Single(2, value);

    private static ProtobufMessage Initializer((string Name, Tensor Values) one)
    {
        var message = new ProtobufMessage();
        foreach (long size in one.Values.shape) message.Number(1, size);
        return message
            .Number(2, one.Values.dtype == ScalarType.Byte ? UnsignedByte : Float)
            .Text(8, one.Name)
            .Part(13, new ProtobufMessage().Text(1, "location").Text(2, ValuesFile))
            .Number(14, External);
    }

    private static ProtobufMessage Rows(string name, int width)
    {
        var dimensions = new ProtobufMessage().Part(1, new ProtobufMessage().Text(2, "tokens")).Part(1, new ProtobufMessage().Number(1, width));
        return new ProtobufMessage().Text(1, name).Part(2, new ProtobufMessage().Part(1, new ProtobufMessage().Number(1, Float).Part(2, dimensions)));
    }
}
