using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>Which group each input belongs to, where activation order put them into any.</summary>
internal static class GroupIndexReader
{
    /// <summary>Reads and checks a g_idx; groups that lie side by side after all need none.</summary>
    /// <param name="parts">Where faults go.</param>
    /// <param name="index">The tensor, [inputs].</param>
    /// <param name="columns">The number of inputs.</param>
    /// <param name="size">The inputs of a group.</param>
    /// <param name="count">The number of groups.</param>
    /// <param name="isIgnoredWhenNegative">Whether an index of -1 throughout says that there is none, as compressed-tensors initialises it.</param>
    public static IntegerGroups? Read(WeightParts parts, TensorData index, int columns, int size, int count, bool isIgnoredWhenNegative)
    {
        if (!parts.IsOf(index, TensorType.I32) | !parts.HasShape(index, "a group for each input", columns)) return null;

        int[] groups = MemoryMarshal.Cast<byte, int>(index.Bytes(0, columns * sizeof(int))).ToArray();
        if (isIgnoredWhenNegative && Array.TrueForAll(groups, group => group == -1)) return new(size, count, null);

        int outside = Array.FindIndex(groups, group => group < 0 || group >= count);
        if (parts.Fault(outside >= 0, $"Tensor {TensorName.Quote(index.Info.Name)} puts input {outside} into group {groups[Math.Max(outside, 0)]}; there are {count} groups.")) return null;

        bool isInOrder = true;
        for (int column = 0; column < columns; column++) isInOrder &= groups[column] == column / size;
        return new(size, count, isInOrder ? null : groups);
    }
}
