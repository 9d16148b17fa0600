namespace MoeSharp.Checkpoints;

/// <summary>Tensors by name: a file, or a folder of files.</summary>
public interface ITensorSource
{
    /// <summary>The file or folder, for messages.</summary>
    string Path { get; }

    /// <summary>What the tensors are.</summary>
    IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>A tensor and where its bytes are.</summary>
    /// <exception cref="CheckpointException">There is no tensor of this name.</exception>
    TensorData Data(string name);
}
