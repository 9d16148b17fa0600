using System.Globalization;

namespace MoeSharp.Checkpoints;

/// <summary>A weight of a gated MLP: gate and up [H, D], down [D, H].</summary>
internal enum WeightRole
{
    Gate,
    Up,
    Down,
}

/// <summary>How one tensor holds the rows of two weights.</summary>
internal enum RowOrder
{
    /// <summary>All rows of the first, then all of the second.</summary>
    Halves,

    /// <summary>A row of the first, a row of the second, and so on.</summary>
    Alternating,
}

/// <summary>Where a tensor holds the experts.</summary>
internal enum ExpertAxis
{
    /// <summary>There is one tensor for each: <c>{e}</c> in the name. Or it is of a shared expert.</summary>
    None,

    /// <summary>The first dimension counts them: [E, rows, columns].</summary>
    Stacked,

    /// <summary>Their rows follow each other: [E · rows, columns].</summary>
    Folded,
}

/// <summary>
/// A tensor that holds one weight of gated MLPs, or two. What is stored becomes what is meant in this order: the matrix of an expert,
/// transposed if it is stored with inputs as rows, and of two weights its share of the rows.
/// </summary>
/// <param name="Name">The tensor's name after the layer's prefix and without <c>.weight</c>; <c>{e}</c> stands for the expert.</param>
/// <param name="Roles">What it holds: one, or two.</param>
internal sealed record StoredWeight(string Name, params WeightRole[] Roles)
{
    public const string ExpertPlace = "{e}";

    public ExpertAxis Axis { get; init; }

    /// <summary>Whether there is a tensor for each expert.</summary>
    public bool IsPerExpert => Name.Contains(ExpertPlace, StringComparison.Ordinal);

    public RowOrder Order { get; init; }

    public bool IsTransposed { get; init; }

    /// <summary>How the name of MXFP4 blocks ends, <c>_blocks</c> or <c>.blocks</c>; null where the tensor is none.</summary>
    public string? Blocks { get; init; }

    /// <summary>Whether the tensor is MXFP4 blocks.</summary>
    public bool IsBlocks => Blocks is not null;

    /// <summary>Whether the tensor's own name has no <c>.weight</c>: a parameter, not one of a module.</summary>
    public bool IsBare { get; init; }

    /// <summary>What the tensor that holds the weight, or its codes, has after the name.</summary>
    public string Suffix => Blocks ?? (IsBare ? "" : QuantizedNames.Weight);

    /// <summary>The tensor of the biases; null for none.</summary>
    public string? Bias { get; init; }

    /// <summary>The stored shape of the weight.</summary>
    public long[] Shape(int experts, int width, int hiddenSize)
    {
        long rows = (Roles[0] == WeightRole.Down ? hiddenSize : width) * (long)Roles.Length, columns = Roles[0] == WeightRole.Down ? width : hiddenSize;
        if (IsTransposed) (rows, columns) = (columns, rows);
        return Axis switch
        {
            ExpertAxis.Stacked => [experts, rows, columns],
            ExpertAxis.Folded => [experts * rows, columns],
            _ => [rows, columns],
        };
    }

    /// <summary>The stored shape of the biases.</summary>
    public long[] BiasShape(int experts, int width, int hiddenSize)
    {
        long count = (Roles[0] == WeightRole.Down ? hiddenSize : width) * (long)Roles.Length;
        return Axis == ExpertAxis.Stacked ? [experts, count] : [count];
    }

    /// <summary>What one role has of the matrix of an expert, as it is stored.</summary>
    public WeightMatrix Of(WeightMatrix stored, WeightRole role)
    {
        var matrix = IsTransposed ? stored.Transposed() : stored;
        int count = matrix.Rows / Roles.Length, index = Array.IndexOf(Roles, role);
        if (Roles.Length == 1) return matrix;
        return Order == RowOrder.Halves ? matrix.RowsFrom(index * count, 1, count) : matrix.RowsFrom(index, Roles.Length, count);
    }

    /// <summary>The matrix of an expert as it is stored, from what is meant: the inverse of <see cref="Of(WeightMatrix, WeightRole)"/>.</summary>
    public WeightMatrix Store(Func<WeightRole, WeightMatrix> meant)
    {
        var matrix = Roles.Length == 1 ? meant(Roles[0]) : new JoinedRows([.. Roles.Select(meant)], Order);
        return IsTransposed ? matrix.Transposed() : matrix;
    }

    /// <summary>Whether tensors of the other are these by another name.</summary>
    public bool IsLike(StoredWeight other) =>
        Roles.SequenceEqual(other.Roles) && (Axis, Order, IsTransposed, IsBlocks, IsPerExpert) == (other.Axis, other.Order, other.IsTransposed, other.IsBlocks, other.IsPerExpert);

    /// <summary>The name of the tensor for an expert.</summary>
    public string TensorOf(int expert) => ModuleOf(expert) + Suffix;

    /// <summary>The name for an expert.</summary>
    public string ModuleOf(int expert) => Name.Replace(ExpertPlace, expert.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    /// <summary>What one role has of the biases of an expert.</summary>
    public float[] Of(float[] stored, WeightRole role)
    {
        int count = stored.Length / Roles.Length, index = Array.IndexOf(Roles, role);
        if (Roles.Length == 1) return stored;
        return Order == RowOrder.Halves ? stored[(index * count)..((index + 1) * count)] : [.. stored.Where((_, i) => i % Roles.Length == index)];
    }
}
