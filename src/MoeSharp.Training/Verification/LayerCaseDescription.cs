using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>What a layer or router case (format 1) says of itself: the metadata "case" of its file.</summary>
internal sealed record LayerCaseDescription
{
    public const int Format = 1;
    private const double DefaultTolerance = 1e-5;

    public required MoeOptions Options { get; init; }

    /// <summary>Whether the case is of a router alone.</summary>
    public required bool IsRouter { get; init; }

    public required bool IsTraining { get; init; }

    public double Tolerance { get; init; } = DefaultTolerance;

    /// <summary>Decides what the layer itself draws in training; 0 where the case does not say.</summary>
    public long Step { get; init; }

    /// <summary>The slots of an expert that the case states as information; null when it states none.</summary>
    public long? SlotsPerExpert { get; init; }

    /// <summary>The rows of a shard's receive buffer that the case states as information; null when it states none.</summary>
    public long? SlotsPerShard { get; init; }

    public string Kind => IsRouter ? "router" : "layer";

    /// <exception cref="MoeException">The description is incomplete, has unknown options, or options that contradict each other.</exception>
    public static LayerCaseDescription Read(SafetensorsFile file, JsonElement about)
    {
        string path = file.Path;
        double format = Number(path, about, "format") ?? throw new CheckpointException(path, "The case does not state its format; expected \"format\": 1, a layer or router case.");
        if (format != Format) throw new CheckpointException(path, $"The case is of format {format}; a single file is expected to be of format {Format}, a layer or router case.");

        bool isRouter = Word(path, about, "kind", "layer", "router", fallback: "layer") == "router";
        bool isTraining = Word(path, about, "mode", "train", "eval", fallback: null) == "train";
        double tolerance = Number(path, about, "tolerance") ?? DefaultTolerance;
        if (!(tolerance > 0 && double.IsFinite(tolerance))) throw new CheckpointException(path, $"The tolerance is {tolerance}; expected a number above 0.");

        return new()
        {
            Options = ReadOptions(file, about, isRouter),
            IsRouter = isRouter,
            IsTraining = isTraining,
            Tolerance = tolerance,
            Step = (long)(Number(path, about, "step") ?? 0),
            SlotsPerExpert = Stated(about, "capacity", "slots_per_expert"),
            SlotsPerShard = Stated(about, "ragged_buffer", "slots_per_shard"),
        };
    }

    private static MoeOptions ReadOptions(SafetensorsFile file, JsonElement about, bool isRouter)
    {
        if (!about.TryGetProperty("layer", out var layer)) throw new CheckpointException(file.Path, "The case has no 'layer', the options of what it is a case of.");

        string source = $"{file.Path}: layer";
        var options = isRouter ? MoeOptionsJson.ReadRouterCase(layer, source) : MoeOptionsJson.Read(layer, source);
        options = SizedByTensors(file, layer, options, isRouter);
        try
        {
            options.Validate();
        }
        catch (ArgumentException e)
        {
            throw new CheckpointException(file.Path, e.Message, e);
        }

        return isRouter ? RouterAlone(options) : options;
    }

    /// <summary>Sizes that the format leaves to the tensors: a token table's rows, and the width of what a router reads.</summary>
    private static MoeOptions SizedByTensors(SafetensorsFile file, JsonElement layer, MoeOptions options, bool isRouter)
    {
        if (options.Router.Select is Selection.TokenTable { VocabularySize: 0 } && file.Tensors.TryGetValue("param.router.table", out var table) && table.Shape.Count == 2)
            options = options with { Router = options.Router with { Select = new Selection.TokenTable(Size(table.Shape[0])) } };
        else if (options.Router.Select is Selection.TokenTable { VocabularySize: 0 })
            options = options with { Router = options.Router with { Select = new Selection.TokenTable(1) } };       // the missing table is reported with the other tensors

        return isRouter && !layer.TryGetProperty("hidden_size", out _) && file.Tensors.TryGetValue("input.x", out var tokens) && tokens.Shape.Count == 3
            ? options with { HiddenSize = Size(tokens.Shape[2]) }
            : options;
    }

    private static int Size(long size) => (int)Math.Min(size, int.MaxValue);

    /// <summary>What the format means by the options of a router: no experts, and "routed" counts what was not dropped.</summary>
    public static MoeOptions RouterAlone(MoeOptions options) => options with
    {
        Shared = null,
        LoadBalance = [.. options.LoadBalance.Select(loss => loss.Counts == BalanceCounts.Routed ? loss with { Counts = BalanceCounts.Kept } : loss)],
        BalanceBias = options.BalanceBias is { Counts: BalanceCounts.Routed } balance ? balance with { Counts = BalanceCounts.Kept } : options.BalanceBias,
    };

    // the options were read by now, so what is there has the right type
    private static long? Stated(JsonElement about, string limit, string field) =>
        about.GetProperty("layer").TryGetProperty("dispatch", out var dispatch) && dispatch.ValueKind == JsonValueKind.Object
        && dispatch.TryGetProperty(limit, out var options) && options.ValueKind == JsonValueKind.Object
        && options.TryGetProperty(field, out var slots) && slots.ValueKind == JsonValueKind.Number
            ? (long)slots.GetDouble()
            : null;

    private static string Word(string path, JsonElement about, string name, string first, string second, string? fallback)
    {
        string? word = about.TryGetProperty(name, out var value) ? value.ValueKind == JsonValueKind.String ? value.GetString() : value.GetRawText() : fallback;
        return word == first || word == second ? word
            : throw new CheckpointException(path, word is null ? $"The case does not state its {name}; expected '{first}' or '{second}'." : $"The {name} is '{word}'; expected '{first}' or '{second}'.");
    }

    private static double? Number(string path, JsonElement about, string name) =>
        !about.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == JsonValueKind.Number ? value.GetDouble()
        : throw new CheckpointException(path, $"The {name} is {value.GetRawText()}; expected a number.");
}
