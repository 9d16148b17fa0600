using System.Globalization;
using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>
/// A tensor case (format 3): a quantized weight under its published names, and what a reference made of it, in float32 and rounded. Ours
/// must have the same bits; not-a-numbers equal each other.
/// </summary>
internal sealed class TensorCase
{
    private const string Expected = "expected.", Scalars = "scalars", GgufPrefix = "gguf-";

    // the reference inverts the scale of the tensor twice, so its bits are not those of the formula
    private const string TwiceInverted = "modelopt-nvfp4";
    private const double TwiceInvertedLimit = 1e-6;

    private readonly SafetensorsFile _file;
    private readonly string _format;
    private readonly double _limit;
    private readonly List<VerifyRow> _rows = [];
    private readonly List<string> _skipped = [];

    private TensorCase(SafetensorsFile file, string format, double limit)
    {
        (_file, _format, _limit) = (file, format, limit);
    }

    /// <summary>Of tensor cases the format is a word, of others a number, which a number in quotes was meant to be.</summary>
    public static bool IsOne(JsonElement about) =>
        about.TryGetProperty("format", out var format) && format.ValueKind == JsonValueKind.String && !int.TryParse(format.GetString(), NumberStyles.None, CultureInfo.InvariantCulture, out _);

    public static VerifyReport Verify(SafetensorsFile file, JsonElement about, CancellationToken cancellationToken)
    {
        string format = about.GetProperty("format").GetString()!;       // IsOne saw it
        if (format == Scalars) return ScalarCase.Verify(file);

        double limit = about.TryGetProperty("tolerance", out var tolerance) && tolerance.ValueKind == JsonValueKind.Number ? tolerance.GetDouble() : format == TwiceInverted ? TwiceInvertedLimit : 0;
        return new TensorCase(file, format, limit).Verify(about, cancellationToken);
    }

    private VerifyReport Verify(JsonElement about, CancellationToken cancellationToken)
    {
        var weight = ReadWeight(about);
        foreach (string name in _file.Tensors.Keys.Where(name => name.StartsWith(Expected, StringComparison.Ordinal)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            Compare(weight, name);
        }

        if (_rows.Count == 0) throw new CheckpointException(_file.Path, $"There is no tensor '{Expected}weight' to compare with.");
        return new VerifyReport(_file.Path, "tensor", _rows, _skipped);
    }

    private QuantizedWeight ReadWeight(JsonElement about)
    {
        bool hasConfig = about.TryGetProperty("quantization_config", out var config) && config.ValueKind == JsonValueKind.Object;
        if (_format.StartsWith(GgufPrefix, StringComparison.Ordinal)) return ReadGguf();

        var weights = QuantizedWeights.Find(_file, hasConfig ? QuantizationConfig.Read(config, _file.Path) : null);
        return weights.Count == 1 ? weights[0] : throw new CheckpointException(_file.Path, $"There are {weights.Count} quantized weights; a tensor case has one.");
    }

    private QuantizedWeight ReadGguf()
    {
        string type = _format[GgufPrefix.Length..];
        if (!Enum.TryParse(type, ignoreCase: true, out GgufType known) || !GgufTypes.Decodable.Contains(known) || char.IsDigit(type[0]))
            throw new CheckpointException(_file.Path, $"The format is '{_format}', which is not supported; expected gguf- and one of {string.Join(", ", GgufTypes.Decodable.Order())}.");

        string[] names = [.. _file.Tensors.Keys.Where(name => !name.StartsWith(Expected, StringComparison.Ordinal))];
        return names.Length == 1
            ? QuantizedWeights.FromGguf(_file.Data(names[0]), known, _file.Path)
            : throw new CheckpointException(_file.Path, $"There are {names.Length} tensors beside the expected ones; a tensor case of GGUF has one.");
    }

    private void Compare(QuantizedWeight weight, string name)
    {
        bool isTransposed = name.EndsWith("_hf_layout", StringComparison.Ordinal);      // [experts, inputs, outputs]
        string kind = name[Expected.Length..];
        if (kind is not ("weight" or "weight_bf16" or "weight_f16" or "weight_hf_layout"))
        {
            _skipped.Add(name);
            return;
        }

        var theirs = _file.Data(name);
        long[] shape = isTransposed ? [.. weight.Shape.SkipLast(2), weight.Shape[^1], weight.Shape[^2]] : [.. weight.Shape];
        if (!theirs.Info.Shape.SequenceEqual(shape)) throw new CheckpointException(_file.Path, $"{theirs.Info} is expected to be [{string.Join(", ", shape)}], the shape of the weight.");
        if (theirs.Info.Type is not (TensorType.F32 or TensorType.BF16 or TensorType.F16)) throw new CheckpointException(_file.Path, $"{theirs.Info} is no tensor of floats.");

        var bits = new BitComparison(theirs.Info.Type);
        for (int expert = 0; expert < weight.Matrices.Count; expert++)
        {
            var part = weight.Shape.Count == 3 ? theirs.Slice(expert) : theirs;
            Compare(weight.Matrices[expert], part, bits, isTransposed);
        }

        _rows.Add(new VerifyRow(name, theirs.Info.Shape, bits.Error, theirs.Info.Type == TensorType.F32 ? _limit : RoundedLimit(theirs.Info.Type)));
    }

    // what may differ before rounding may differ by one step after it
    private double RoundedLimit(TensorType type) => _limit == 0 ? 0 : Math.ScaleB(1, type == TensorType.BF16 ? -8 : -11);

    private static void Compare(WeightMatrix matrix, TensorData theirs, BitComparison bits, bool isTransposed)
    {
        int rows = Math.Clamp(BitComparison.BlockLength / matrix.Columns, 1, matrix.Rows), size = theirs.Info.Type.BitSize() / 8;
        float[] ours = new float[rows * matrix.Columns];
        for (int row = 0; row < matrix.Rows; row += rows)
        {
            int count = Math.Min(rows, matrix.Rows - row);
            matrix.Decode(row, count, ours);
            for (int i = 0; i < count; i++)
            {
                var line = ours.AsSpan(i * matrix.Columns, matrix.Columns);
                if (isTransposed) bits.AddColumn(line, theirs, row + i, matrix.Rows);
                else bits.Add(line, theirs.Bytes((long)(row + i) * matrix.Columns * size, matrix.Columns * size));
            }
        }
    }
}
