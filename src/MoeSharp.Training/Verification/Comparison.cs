using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>Compares our tensors with those of a case and collects the rows of its report.</summary>
internal sealed class Comparison(SafetensorsFile expected)
{
    private readonly List<VerifyRow> _rows = [];
    private readonly HashSet<string> _used = [];

    public IReadOnlyList<VerifyRow> Rows => _rows;

    /// <summary>The tensors of the case that nothing asked for.</summary>
    public IReadOnlyList<string> Unused => [.. expected.Tensors.Keys.Where(name => !_used.Contains(name))];

    public bool Has(string name) => expected.Tensors.ContainsKey(name);

    /// <summary>A tensor of the case, as an input; it belongs to the caller's dispose scope.</summary>
    public Tensor Input(string name)
    {
        if (!Has(name)) throw new CheckpointException(expected.Path, $"There is no tensor '{name}', which this kind of case needs.");
        _used.Add(name);
        return TensorMemory.Read(expected, name);
    }

    /// <summary>Compares float values, if the case has them.</summary>
    /// <param name="name">The tensor of the case.</param>
    /// <param name="ours">Our values, of the same number of elements.</param>
    /// <param name="limit">The largest relative error that passes.</param>
    public void Close(string name, Func<Tensor> ours, double limit)
    {
        if (!Has(name)) return;

        using var scope = NewDisposeScope();
        var theirs = Input(name);
        Add(name, theirs, RelativeError(ours(), theirs), limit);
    }

    /// <summary>Adds a row whose error was computed elsewhere.</summary>
    public void Add(string name, Tensor theirs, double error, double limit) => _rows.Add(new VerifyRow(name, theirs.shape, error, limit));

    /// <summary>max|ours − theirs| / max|theirs|; absolute where theirs is all zero; infinite where only one of two is not a number, or sizes differ.</summary>
    public static double RelativeError(Tensor ours, Tensor theirs)
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        if (ours.numel() != theirs.numel()) return double.PositiveInfinity;
        if (theirs.numel() == 0) return 0;

        var a = ours.detach().to(ScalarType.Float64).flatten();
        var b = theirs.to(ScalarType.Float64).flatten();
        if (!a.isnan().eq(b.isnan()).all().item<bool>()) return double.PositiveInfinity;

        var difference = where(a.eq(b).logical_or(a.isnan()), zeros_like(a), (a - b).abs());     // equal infinities do not differ
        double scale = where(b.isfinite(), b.abs(), zeros_like(b)).max().item<double>();
        return difference.max().item<double>() / (scale > 0 ? scale : 1);
    }
}
