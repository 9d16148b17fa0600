using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>A tensor that a layer or router case may have, as the format describes it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type.</param>
/// <param name="Shape">Its sizes; -1 for any.</param>
/// <param name="IsNeeded">Whether the case cannot do without.</param>
internal sealed record CaseTensor(string Name, TensorType Type, long[] Shape, bool IsNeeded = false)
{
    /// <summary>Notes what is wrong with the file's tensor of this name.</summary>
    public void Check(SafetensorsFile file, List<string> faults)
    {
        if (!file.Tensors.TryGetValue(Name, out var info))
        {
            if (IsNeeded) faults.Add($"There is no tensor '{Name}'; expected {Type.FileName()} {Text(Shape)}.");
            return;
        }

        bool fits = info.Shape.Count == Shape.Length && info.Shape.Zip(Shape).All(size => size.Second < 0 || size.First == size.Second);
        if (info.Type != Type || !fits) faults.Add($"Tensor '{Name}' is {info.Type.FileName()} {Text(info.Shape)}; expected {Type.FileName()} {Text(Shape)}.");
    }

    public static string Text(IReadOnlyList<long> shape) => $"[{string.Join(", ", shape.Select(size => size < 0 ? "*" : size.ToString(System.Globalization.CultureInfo.InvariantCulture)))}]";
}
