namespace MoeSharp.Checkpoints;

/// <summary>One tensor for <see cref="SafetensorsWriter"/>, whose bytes are produced only when their turn comes.</summary>
/// <param name="Name">Its name; unique in the file, without control characters.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its sizes, slowest first; empty for a scalar.</param>
/// <param name="WriteBytes">Writes exactly the tensor's bytes, little-endian and row-major, to the stream; must not keep the stream.</param>
public sealed record TensorToWrite(string Name, TensorType Type, IReadOnlyList<long> Shape, Action<Stream> WriteBytes);
