using System.Globalization;
using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Finds the parameters of one MoE layer among the weights of a checkpoint, by a layout: every one that the options have, in the shape they
/// ask for. What is wrong is gathered.
/// </summary>
internal sealed class LayerResolver
{
    private readonly IWeightIndex _index;
    private readonly LayerLayout _layout;
    private readonly QuantizationConfig? _quantization;
    private readonly string _prefix;
    private readonly MoeOptions _options;
    private readonly List<string> _faults;
    private readonly HashSet<string> _used;
    private readonly HashSet<string> _formats = [];
    private readonly Dictionary<(string Name, bool IsBlocks), FoundWeight?> _found = [];

    private LayerResolver(IWeightIndex index, LayerLayout layout, QuantizationConfig? quantization, string prefix, MoeOptions options, HashSet<string> used, List<string> faults)
    {
        (_index, _layout, _quantization, _prefix, _options, _used, _faults) = (index, layout, quantization, prefix, options, used, faults);
    }

    private int Experts => _options.Router.ExpertCount;

    /// <summary>The layer; null when anything is wrong, which the faults then say.</summary>
    /// <param name="index">The weights of the checkpoint.</param>
    /// <param name="place">Where its layers are.</param>
    /// <param name="quantization">What the config says of quantized weights.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="options">What its config says it is.</param>
    /// <param name="used">Receives the names of the tensors that belong to it, of the right shape or not.</param>
    /// <param name="faults">Receives what is wrong.</param>
    public static StoredMoeLayer? Resolve(IWeightIndex index, LayerPlace place, QuantizationConfig? quantization, int layer, MoeOptions options, HashSet<string> used, List<string> faults)
    {
        int before = faults.Count;
        var resolved = new LayerResolver(index, place.Layout, quantization, place.PrefixOf(layer), options, used, faults).Resolve(layer);
        return faults.Count == before ? resolved : null;
    }

    private StoredMoeLayer? Resolve(int layer)
    {
        var router = Router();
        var expert = Mlps(_layout.Experts, Experts, _options.Experts.IntermediateSize, _options.Experts.HasBias);
        var shared = _options.Shared is { } options ? Mlps(_layout.Shared, 1, options.IntermediateSize, hasBias: false) : null;
        var sharedRouter = _options.Shared is { IsGated: true } ? Matrix(_layout.SharedRouter!, [1, _options.HiddenSize]) : null;      // a layout of such a family names it
        if (router is null || expert is null) return null;

        return new StoredMoeLayer(layer, _options, router, expert.Of)
        {
            Shared = shared?.Of(0),
            SharedRouter = sharedRouter,
            Formats = [.. _formats],
            Tensors = [.. _used],
            ExpertWay = expert.Way,
            SharedWay = shared?.Way,
        };
    }

    private RouterParameters? Router()
    {
        var (E, D, options) = (Experts, _options.HiddenSize, _options.Router);
        var weight = _layout.IsRouterTransposed ? Matrix(_layout.Router, [D, E])?.Transposed() : Matrix(_layout.Router, [E, D]);
        var parameters = new RouterParameters(weight!)
        {
            LogitBias = options.HasLogitBias ? Vector(_layout.LogitBias, [E]) : null,
            CorrectionBias = options.HasCorrectionBias ? Vector(_layout.CorrectionBias, [E], [1, E]) : null,
            QuantileBias = options.Select is Selection.QuantileBalance ? Vector(_layout.QuantileBias, [E]) : null,
            PerExpertScale = options.HasPerExpertScale ? Vector(_layout.PerExpertScale, [E]) : null,
            InputScale = options.InputNorm is { HasScale: true } ? Vector(_layout.InputScale, [D]) : null,
            TokenTable = options.Select is Selection.TokenTable table ? Table([table.VocabularySize, options.TopK]) : null,
        };
        return weight is null ? null : parameters;
    }

    private WeightMatrix? Matrix(string name, long[] shape) => Find($"{_prefix}{name}", isBlocks: false, QuantizedNames.Weight, shape)?.Matrix(0);

    private FoundWeight? Find(string name, bool isBlocks, string suffix, long[] shape)
    {
        if (_index.Has(name, isBlocks)) _used.UnionWith(_index.TensorsOf(name));
        if (Look(name, isBlocks, suffix) is not { } found) return null;
        if (found.Shape.SequenceEqual(shape)) return found;

        _faults.Add($"Tensor {TensorName.Quote(found.Name)} has the shape [{string.Join(", ", found.Shape)}]; the config asks for [{string.Join(", ", shape)}].");
        return null;
    }

    // once, so that what is wrong with it is said once
    private FoundWeight? Look(string name, bool isBlocks, string suffix)
    {
        if (!_found.TryGetValue((name, isBlocks), out var found)) _found.Add((name, isBlocks), found = _index.Find(name, isBlocks, suffix, _faults));
        return found;
    }

    private float[]? Vector(string? name, params ReadOnlySpan<long[]> shapes)
    {
        if (Plain(name, shapes) is not { } data) return null;
        if (PlainMatrix.Types.Contains(data.Info.Type)) return PlainMatrix.ReadAll(data);

        _faults.Add($"Tensor {TensorName.Quote(data.Info.Name)} is {data.Info.Type.FileName()}; expected F32, BF16 or F16.");
        return null;
    }

    private TensorData? Plain(string? name, ReadOnlySpan<long[]> shapes)
    {
        if (name is null)
        {
            _faults.Add("The config asks for a parameter that files of this family do not have.");
            return null;
        }

        _used.Add($"{_prefix}{name}");
        return _index.FindVector($"{_prefix}{name}", _faults, shapes);
    }

    /// <summary>The experts of token ids; every one of them must be there.</summary>
    private long[]? Table(long[] shape)
    {
        if (Plain(_layout.TokenTable, [shape]) is not { } data) return null;

        var bytes = data.Bytes(0, (int)data.Info.ByteCount);
        long[]? table = data.Info.Type switch
        {
            TensorType.I64 => [.. MemoryMarshal.Cast<byte, long>(bytes)],
            TensorType.I32 => [.. MemoryMarshal.Cast<byte, int>(bytes).ToArray().Select(expert => (long)expert)],
            _ => null,
        };
        string name = TensorName.Quote(data.Info.Name);
        if (table is null) _faults.Add($"Tensor {name} is {data.Info.Type.FileName()}; expected I64 or I32.");
        else if (table.Any(expert => expert < 0 || expert >= Experts)) _faults.Add($"Tensor {name} names the expert {table.First(expert => expert < 0 || expert >= Experts)}, but the experts are 0 to {Experts - 1}.");
        return table;
    }

    /// <summary>The gated MLPs, stored in that of several ways of which most is there; of ways with the same names, in the one of these shapes.</summary>
    private FoundMlps? Mlps(IReadOnlyList<StoredWeight[]> ways, int count, int width, bool hasBias)
    {
        if (ways.Count == 0)
        {
            _faults.Add("The config asks for a shared expert, which files of this family do not have.");
            return null;
        }

        int most = ways.Max(way => way.Count(IsThere));
        StoredWeight[][] there = [.. ways.Where(way => way.Count(IsThere) == most)];
        var way = there.Length == 1 || most == 0 ? there[0] : there.MaxBy(way => way.Count(HasItsShape))!;     // of equals the first
        var found = new Dictionary<WeightRole, Func<int, WeightMatrix>>();
        var biases = new Dictionary<WeightRole, Func<int, float[]>>();
        int before = _faults.Count;
        foreach (var stored in way)
        {
            var matrix = Matrices(stored, count, width);
            var bias = hasBias ? Biases(stored, count, width) : null;
            foreach (var role in stored.Roles)
            {
                found.Add(role, index => stored.Of(matrix(index), role));
                if (bias is not null) biases.Add(role, index => stored.Of(bias(index), role));
            }
        }

        if (_faults.Count > before) return null;
        return new(way, index => new StoredMlp(found[WeightRole.Gate](index), found[WeightRole.Up](index), found[WeightRole.Down](index))
        {
            Biases = hasBias ? new StoredBiases(biases[WeightRole.Gate](index), biases[WeightRole.Up](index), biases[WeightRole.Down](index)) : null,
        });

        bool IsThere(StoredWeight stored)
        {
            var names = NamesOf(stored.Name);
            return Enumerable.Range(0, stored.IsPerExpert ? count : 1).Any(expert => _index.Has(names(expert), stored.IsBlocks));
        }

        bool HasItsShape(StoredWeight stored) =>
            IsThere(stored) && Look(NamesOf(stored.Name)(0), stored.IsBlocks, stored.Suffix) is { } found && found.Shape.SequenceEqual(stored.Shape(count, width, _options.HiddenSize));
    }

    /// <summary>The matrices of a stored weight by expert, as they are stored.</summary>
    private Func<int, WeightMatrix> Matrices(StoredWeight stored, int count, int width)
    {
        long[] shape = stored.Shape(count, width, _options.HiddenSize);
        var names = NamesOf(stored.Name);
        var found = new FoundWeight?[stored.IsPerExpert ? count : 1];
        for (int expert = 0; expert < found.Length; expert++)
        {
            string name = names(expert);
            found[expert] = Find(name, stored.IsBlocks, stored.Suffix, shape);
            if (found[expert] is not { } weight) continue;

            _formats.Add(weight.Type);
            if (!weight.IsQuantized && _quantization?.SchemeOf(name) is { } scheme && MustBe(scheme, stored))
                _faults.Add($"Tensor {TensorName.Quote(weight.Name)} is {weight.Type}, but the quantization_config says {_quantization.Method}; its scales are missing, or the config is of another file.");
        }

        if (stored.IsPerExpert) return index => found[index]!.Matrix(0);
        if (stored.Axis != ExpertAxis.Folded) return index => found[0]!.Matrix(index);
        return index => found[0]!.Matrix(0).RowsFrom((int)(index * (shape[0] / count)), 1, (int)(shape[0] / count));
    }

    // of stacked experts, which are no modules, only some methods take hold
    private static bool MustBe(QuantizationScheme scheme, StoredWeight stored) => stored.Axis == ExpertAxis.None || scheme is QuantizationScheme.Fp8 or QuantizationScheme.Mxfp4;

    private Func<int, float[]> Biases(StoredWeight stored, int count, int width)
    {
        long[] shape = stored.BiasShape(count, width, _options.HiddenSize);
        var all = Vector(stored.Bias, shape);
        int size = (int)(shape[^1]);
        return index => all!.AsSpan(stored.Axis == ExpertAxis.Stacked ? index * size : 0, size).ToArray();
    }

    /// <summary>From an expert's number to a name.</summary>
    private Func<int, string> NamesOf(string name)
    {
        int place = name.IndexOf(StoredWeight.ExpertPlace, StringComparison.Ordinal);
        if (place < 0) return _ => _prefix + name;

        var (before, after) = (_prefix + name[..place], name[(place + StoredWeight.ExpertPlace.Length)..]);
        return expert => string.Create(CultureInfo.InvariantCulture, $"{before}{expert}{after}");
    }

    /// <summary>Gated MLPs by their index, and the way in which they are stored.</summary>
    private sealed record FoundMlps(StoredWeight[] Way, Func<int, StoredMlp> Of);
}
