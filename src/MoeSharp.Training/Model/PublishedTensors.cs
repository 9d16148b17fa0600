using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>The tensors of a Qwen3-MoE folder by the weights they hold: under the published names, or with the experts stacked, as transformers 5 holds them in memory.</summary>
internal sealed class PublishedTensors(ModelFolder files)
{
    private readonly HashSet<string> _used = [];

    /// <summary>The names of tensors that hold none of the weights asked for.</summary>
    public IEnumerable<string> Unused => files.Tensors.Keys.Where(name => !_used.Contains(name));

    /// <summary>The tensor that holds a weight; null where it is missing.</summary>
    public FoundTensor? Find(PublishedWeight weight)
    {
        bool isStacked = weight.Stack is not null && !files.Tensors.ContainsKey(weight.Name);
        string name = isStacked ? weight.Stack!.Name : weight.Name;
        if (!files.Tensors.ContainsKey(name)) return null;

        _used.Add(name);
        return new(files.Data(name), weight, isStacked);
    }
}

/// <summary>The tensor that holds a weight, of that shape or not.</summary>
/// <param name="Stored">The tensor.</param>
/// <param name="Weight">The weight.</param>
/// <param name="IsStacked">Whether it holds the weights of all experts.</param>
internal sealed record FoundTensor(TensorData Stored, PublishedWeight Weight, bool IsStacked)
{
    /// <summary>The shape that the tensor must have.</summary>
    public long[] Expected
    {
        get
        {
            long[] shape = Weight.Parameter.shape;
            if (IsStacked) return [shape[0], shape[1] * Weight.Stack!.Parts, shape[2]];
            return Weight.Expert is null ? shape : shape[1..];
        }
    }

    /// <summary>The weight alone, of a tensor of that shape.</summary>
    public TensorData Values()
    {
        if (!IsStacked) return Stored;

        var expert = Stored.Slice(Weight.Expert!.Value);        // a weight of a stack has one
        return expert.Part(expert.Info.ByteCount / Weight.Stack!.Parts * Weight.Stack.Part, Weight.Parameter.shape[1..]);
    }
}
