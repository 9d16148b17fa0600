using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>The sizes of a Qwen3-MoE language model that is trained from scratch; the vocabulary comes from the tokenizer.</summary>
public sealed record ModelShape
{
    /// <summary>The width D of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The number of decoder layers.</summary>
    public required int LayerCount { get; init; }

    /// <summary>The number of query heads.</summary>
    public required int HeadCount { get; init; }

    /// <summary>The number of key and value heads; divides <see cref="HeadCount"/>.</summary>
    public required int KeyValueHeadCount { get; init; }

    /// <summary>The width of one attention head; even.</summary>
    public required int HeadSize { get; init; }

    /// <summary>The number E of experts of an MoE layer.</summary>
    public required int ExpertCount { get; init; }

    /// <summary>The number K of experts per token.</summary>
    public required int TopK { get; init; }

    /// <summary>The width H of one expert.</summary>
    public required int ExpertSize { get; init; }

    /// <summary>The width of the MLP of dense layers; needed only where there are dense layers.</summary>
    public int? DenseSize { get; init; }

    /// <summary>Every n-th layer (counted from 1) is an MoE layer, the others are dense; default 1: all are.</summary>
    public int DecoderSparseStep { get; init; } = 1;

    /// <summary>Layers (counted from 0) that are dense whatever <see cref="DecoderSparseStep"/> says.</summary>
    public IReadOnlyList<int> MlpOnlyLayers { get; init; } = [];

    /// <summary>Whether the weights of the chosen experts are renormalised to sum to one; default true, as in Qwen3.</summary>
    public bool NormalizeTopK { get; init; } = true;

    /// <summary>Whether the output head shares the token embedding. Default false.</summary>
    public bool TieEmbeddings { get; init; }

    /// <summary>The base of the rotary frequencies; default 10,000.</summary>
    public double RopeTheta { get; init; } = 10_000;

    /// <summary>The standard deviation of fresh matrices; default 0.02.</summary>
    public double InitializerRange { get; init; } = 0.02;

    private const int MostLayers = 10_000;

    internal void CollectFaults(OptionFaults faults)
    {
        faults.When(HiddenSize < 1, $"Model.HiddenSize is {HiddenSize}; set it to 1 or more.");
        faults.When(LayerCount is < 1 or > MostLayers, $"Model.LayerCount is {LayerCount}; set it to 1..{MostLayers}.");
        faults.When(HeadCount < 1, $"Model.HeadCount is {HeadCount}; set it to 1 or more.");
        faults.When(KeyValueHeadCount < 1 || HeadCount % Math.Max(KeyValueHeadCount, 1) != 0, $"Model.KeyValueHeadCount is {KeyValueHeadCount}; it must divide the {HeadCount} heads.");
        faults.When(HeadSize < 2 || HeadSize % 2 != 0, $"Model.HeadSize is {HeadSize}; set it to an even number of 2 or more.");
        faults.When(ExpertCount < 1, $"Model.ExpertCount is {ExpertCount}; set it to 1 or more.");
        faults.When(TopK < 1 || TopK > ExpertCount, $"Model.TopK is {TopK} but there are {ExpertCount} experts; set it to 1..{Math.Max(ExpertCount, 1)}.");
        faults.When(ExpertSize < 1, $"Model.ExpertSize is {ExpertSize}; set it to 1 or more.");
        faults.When(DecoderSparseStep < 1, $"Model.DecoderSparseStep is {DecoderSparseStep}; set it to 1 or more.");
        faults.When(MlpOnlyLayers.Any(layer => layer < 0 || layer >= LayerCount), $"Model.MlpOnlyLayers is [{string.Join(", ", MlpOnlyLayers)}]; layers count from 0 to {LayerCount - 1}.");
        faults.When(DenseSize is < 1, $"Model.DenseSize is {DenseSize}; set it to 1 or more.");
        faults.When(DenseSize is null && HasDenseLayers, "Model has dense layers but no DenseSize; set the width of their MLP.");
        faults.When(!(RopeTheta > 0), $"Model.RopeTheta is {RopeTheta}; set it above 0.");
        faults.When(!(InitializerRange > 0), $"Model.InitializerRange is {InitializerRange}; set it above 0.");
    }

    /// <summary>This shape with nearby numbers where its own are told as faults, so that those of other options are found as well.</summary>
    internal ModelShape InBounds => this with { HiddenSize = Math.Max(HiddenSize, 1), ExpertSize = Math.Max(ExpertSize, 1), TopK = Math.Clamp(TopK, 1, ExpertCount) };

    private bool HasDenseLayers => DecoderSparseStep > 1 || MlpOnlyLayers.Count > 0;

    internal bool IsSparse(int layer) => !MlpOnlyLayers.Contains(layer) && (layer + 1) % DecoderSparseStep == 0;

    /// <summary>One MoE layer of this shape.</summary>
    internal MoeOptions MoeLayer => new()
    {
        HiddenSize = HiddenSize,
        MaskScope = MaskScope.Losses,       // as the family has it
        Router = new() { ExpertCount = ExpertCount, TopK = TopK, Renormalize = NormalizeTopK ? Renormalization.Always : Renormalization.Never },
        Experts = new() { IntermediateSize = ExpertSize },
    };

    /// <summary>The model of this shape over a vocabulary, with plain top-k routing.</summary>
    /// <param name="vocabularySize">The number of tokens V.</param>
    /// <param name="maxPositions">The longest sequence, in tokens.</param>
    /// <param name="endOfTextId">The id that starts and ends a text.</param>
    public DecoderOptions ToDecoder(int vocabularySize, int maxPositions, int? endOfTextId)
    {
        var sparse = new MlpOptions.Sparse(MoeLayer);
        return new DecoderOptions
        {
            VocabularySize = vocabularySize,
            HiddenSize = HiddenSize,
            MaxPositions = maxPositions,
            Attention = new() { HeadCount = HeadCount, KeyValueHeadCount = KeyValueHeadCount, HeadSize = HeadSize, RopeTheta = RopeTheta },
            Layers = [.. Enumerable.Range(0, LayerCount).Select(layer => IsSparse(layer) ? (MlpOptions)sparse : new MlpOptions.Dense(DenseSize!.Value))], // Validate saw that dense layers have a size
            TieEmbeddings = TieEmbeddings,
            InitializerRange = InitializerRange,
            BeginOfTextId = endOfTextId,
            EndOfTextId = endOfTextId,
        };
    }
}
