using System.Text;
using MoeSharp.Cli;

namespace MoeSharp.Comparison;

/// <summary>An ONNX model of one node, com.microsoft.MoE, whose weights are inputs: written by hand, it needs no package.</summary>
internal static class MoeModel
{
    public const string Tokens = "tokens", Router = "router", GateAndUp = "gate_and_up", Down = "down", Sums = "sums";

    private const int IntermediateRepresentation = 8, Opset = 17, Float = 1;

    // AttributeProto.AttributeType
    private const int FloatAttribute = 1, IntAttribute = 2, StringAttribute = 3;

    /// <summary>The model of a shape; the number of tokens is open.</summary>
    public static byte[] Bytes(LayerShape shape)
    {
        var (d, h, e) = (shape.HiddenSize, shape.ExpertSize, shape.Experts);
        return new Message()
            .Number(1, IntermediateRepresentation)
            .Part(7, new Message()
                .Part(1, Node(shape.TopK))
                .Text(2, "layer")
                .Part(11, Value(Tokens, null, d))
                .Part(11, Value(Router, null, e))
                .Part(11, Value(GateAndUp, e, 2 * h, d))
                .Part(11, Value(Down, e, d, h))
                .Part(12, Value(Sums, null, d)))
            .Part(8, new Message().Text(1, "").Number(2, Opset))
            .Part(8, new Message().Text(1, "com.microsoft").Number(2, 1))
            .ToArray();
    }

    // gate · sigmoid(gate) · up, gate and up in turn; the biases are left out
    private static Message Node(int topK)
    {
        var node = new Message();
        foreach (string input in new[] { Tokens, Router, GateAndUp, "", Down }) node.Text(1, input);
        return node
            .Text(2, Sums)
            .Text(4, "MoE")
            .Part(5, Attribute("k", IntAttribute).Number(3, topK))
            .Part(5, Attribute("activation_type", StringAttribute).Text(4, "swiglu"))
            .Part(5, Attribute("swiglu_fusion", IntAttribute).Number(3, 1))
            .Part(5, Attribute("activation_alpha", FloatAttribute).Single(2, 1))
            .Part(5, Attribute("activation_beta", FloatAttribute).Single(2, 0))
            .Part(5, Attribute("normalize_routing_weights", IntAttribute).Number(3, 1))
            .Text(7, "com.microsoft");
    }

    private static Message Attribute(string name, int type) => new Message().Text(1, name).Number(20, type);

    private static Message Value(string name, params int?[] shape)
    {
        var dimensions = new Message();
        foreach (int? size in shape) dimensions.Part(1, size is { } known ? new Message().Number(1, known) : new Message().Text(2, "tokens"));
        return new Message().Text(1, name).Part(2, new Message().Part(1, new Message().Number(1, Float).Part(2, dimensions)));
    }

    /// <summary>A message of protocol buffers.</summary>
    private sealed class Message
    {
        private const int Varint = 0, Bytes = 2, Fixed32 = 5;

        private readonly List<byte> _bytes = [];

        public Message Number(int field, long value) => Tag(field, Varint).Write(value);

        public Message Text(int field, string value) => Block(field, Encoding.UTF8.GetBytes(value));

        public Message Part(int field, Message value) => Block(field, value.ToArray());

        public Message Single(int field, float value)
        {
            Tag(field, Fixed32)._bytes.AddRange(BitConverter.GetBytes(value));
            return this;
        }

        public byte[] ToArray() => [.. _bytes];

        private Message Block(int field, byte[] value)
        {
            Tag(field, Bytes).Write(value.Length)._bytes.AddRange(value);
            return this;
        }

        private Message Tag(int field, int kind) => Write((field << 3) | kind);

        private Message Write(long value)
        {
            for (; value >= 0x80; value >>= 7) _bytes.Add((byte)(value | 0x80));
            _bytes.Add((byte)value);
            return this;
        }
    }
}
