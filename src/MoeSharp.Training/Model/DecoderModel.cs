using MoeSharp.Checkpoints;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Functional = TorchSharp.torch.nn.functional;

namespace MoeSharp.Training;

/// <summary>
/// A decoder-only language model of the Qwen3-MoE architecture (Yang et al. 2025, arXiv:2505.09388): token embedding, decoder layers, a
/// final RMSNorm and an output head, tied to the embedding or its own. Parameters are float32; the type of the matrix products is a choice.
/// </summary>
public sealed class DecoderModel : nn.Module<Tensor, DecoderOutput>
{
    private const float Blocked = -1e38f;      // swallows any score, and is finite in bfloat16 too

    private readonly Parameter _embedding;
    private readonly Parameter? _head;
    private readonly RmsNorm _finalNorm;
    private readonly ModuleList<nn.Module> _layers;
    private readonly RotaryEmbedding _rotary;
    private readonly ScalarType _computeType;

    /// <summary>Creates a model with untrained weights; <see cref="Initialize"/> or a checkpoint gives them values.</summary>
    /// <exception cref="ArgumentException">The options are inconsistent, or hold a shared expert, which this architecture lacks.</exception>
    public DecoderModel(DecoderOptions options, ComputePrecision precision = ComputePrecision.Float32)
        : base(nameof(DecoderModel))
    {
        options.Validate();
        if (options.Layers.OfType<MlpOptions.Sparse>().Any(layer => layer.Moe.Shared is not null))
            throw new ArgumentException("Qwen3-MoE has no shared expert, but a layer's options do; set Shared to null.", nameof(options));

        Options = options;
        _computeType = precision == ComputePrecision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
        _embedding = Matrix(options.VocabularySize, options.HiddenSize);
        _head = options.TieEmbeddings ? null : Matrix(options.VocabularySize, options.HiddenSize);
        _finalNorm = new RmsNorm(options.HiddenSize, options.RmsNormEpsilon);
        _layers = new ModuleList<nn.Module>([.. options.Layers.Select(mlp => new DecoderLayer(options, mlp, _computeType))]);
        _rotary = new RotaryEmbedding(options.Attention.HeadSize, options.Attention.RopeTheta);
        RegisterComponents();
    }

    /// <summary>What the model was built from.</summary>
    public DecoderOptions Options { get; }

    internal Parameter Embedding => _embedding;

    internal Parameter? Head => _head;

    internal RmsNorm FinalNorm => _finalNorm;

    internal IEnumerable<DecoderLayer> Layers => _layers.Cast<DecoderLayer>();

    internal IEnumerable<int> MoeLayerIndices => Layers.Index().Where(layer => layer.Item.Moe is not null).Select(layer => layer.Index);

    internal IEnumerable<RoutedMoE> MoeLayers => Layers.Select(layer => layer.Moe).OfType<RoutedMoE>();

    /// <summary>An empty cache for generating up to <paramref name="capacity"/> tokens in all.</summary>
    public KeyValueCache CreateCache(long capacity) => new(Options.Layers.Count, capacity);

    /// <summary>The header of a routing trace of this model: its MoE layers.</summary>
    /// <param name="source">Where the decisions come from, for people.</param>
    public RoutingTraceHeader TraceHeader(string source) =>
        new(source, [.. MoeLayerIndices.Zip(MoeLayers, (index, moe) => new RoutingTraceLayer(index, moe.Options.Router.ExpertCount, moe.Options.Router.TopK))]);

    /// <summary>Draws every matrix from a normal distribution and sets norms to one and biases to zero; equal seeds give equal bits.</summary>
    public void Initialize(int seed)
    {
        using var scope = NewDisposeScope();
        using var ungraded = no_grad();

        var generator = new Generator((ulong)seed);
        foreach (var (_, parameter) in named_parameters())
        {
            if (parameter.Dimensions > 1) parameter.copy_(randn(parameter.shape, generator: generator) * Options.InitializerRange);
        }
    }

    /// <summary>Runs the model over whole sequences without padding.</summary>
    /// <inheritdoc cref="forward(Tensor, Tensor, KeyValueCache, IReadOnlyList{RoutingCall})"/>
    public override DecoderOutput forward(Tensor tokens) => forward(tokens, null);

    /// <summary>Runs the model over token ids.</summary>
    /// <param name="tokens">Ids [B, S], int64; after what <paramref name="cache"/> holds.</param>
    /// <param name="mask">1 for tokens and 0 for padding [B, S]; null when there is no padding. Not with a cache.</param>
    /// <param name="cache">The past; null for whole sequences.</param>
    /// <param name="routing">What the routing of each MoE layer gets, first to last; masks and token ids are added. Null for nothing; <see cref="RoutingReplay.Calls"/> to route as a trace says.</param>
    /// <returns>Hidden states [B, S, D] after the final norm, and the statistics of each MoE layer. They belong to the caller's dispose scope.</returns>
    /// <exception cref="ArgumentException">A token outside the vocabulary, a mask of another shape, or a mask together with a cache.</exception>
    /// <exception cref="MoeException">The routing of a token is not a number, or <paramref name="routing"/> replays a trace of another model or of other tokens.</exception>
    public DecoderOutput forward(Tensor tokens, Tensor? mask, KeyValueCache? cache = null, IReadOnlyList<RoutingCall>? routing = null)
    {
        CheckInput(tokens, mask, cache);
        if (routing is not null) ReplayedCall.CheckLayers(routing, [.. MoeLayerIndices]);
        using var scope = NewDisposeScope();

        long past = cache?.Length ?? 0, count = tokens.size(1);
        var angles = _rotary.Angles(past, count, tokens.device);
        var allowed = AttentionMask(tokens, mask, past);
        var counted = mask?.to(ScalarType.Bool);
        var routed = new List<RoutingStatistics>();

        var hidden = _embedding.index_select(0, tokens.flatten()).view(tokens.size(0), count, -1);      // [B, S, D]
        foreach (var (index, layer) in Layers.Index())
        {
            var call = (routing is { Count: > 0 } ? routing[Math.Min(routed.Count, routing.Count - 1)] : new()) with { TokenMask = counted, TokenIds = tokens };
            (hidden, var statistics) = layer.Forward(hidden, new(angles, allowed, count > 1, cache?[index]), call);
            if (statistics is not null) routed.Add(statistics.MoveToOuterDisposeScope());
        }

        return new DecoderOutput(_finalNorm.call(hidden).MoveToOuterDisposeScope(), routed);
    }

    /// <summary>The logits of the next token, float32 [..., V], from hidden states [..., D].</summary>
    public Tensor Logits(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return Functional.linear(hidden.to(_computeType), (_head ?? _embedding).to(_computeType)).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>The mean loss in nats of predicting <paramref name="targets"/> [B, S] from hidden states [B, S, D]; targets equal to <paramref name="ignored"/> do not count.</summary>
    internal Tensor Loss(Tensor hidden, Tensor targets, long ignored)
    {
        using var scope = NewDisposeScope();
        return LinearCrossEntropy.Loss(hidden.flatten(0, -2).to(_computeType), _head ?? _embedding, targets.flatten(), ignored).MoveToOuterDisposeScope();
    }

    private static Parameter Matrix(long rows, long columns)
    {
        var matrix = new Parameter(empty(rows, columns));
        matrix.DetachFromDisposeScope();
        return matrix;
    }

    /// <summary>What is added to the attention scores [B, 1, S, past + S], where the causal rule of the attention itself does not say it all.</summary>
    private static Tensor? AttentionMask(Tensor tokens, Tensor? mask, long past)
    {
        long count = tokens.size(1);
        if (mask is null && (past == 0 || count == 1)) return null;

        var allowed = ones(count, past + count, ScalarType.Bool, tokens.device).tril(past);
        if (mask is not null) allowed = allowed.logical_and(mask.to(ScalarType.Bool).view(-1, 1, 1, count));

        // a large finite number, not -inf: the row of a padded position, which may see nothing, becomes an even mean instead of NaN, as in transformers
        return zeros(1, device: tokens.device).masked_fill(allowed.logical_not(), Blocked);
    }

    private void CheckInput(Tensor tokens, Tensor? mask, KeyValueCache? cache)
    {
        if (tokens.Dimensions != 2 || tokens.dtype != ScalarType.Int64)
            throw new ArgumentException($"Tokens are {tokens.dtype} [{string.Join(", ", tokens.shape)}]; expected int64 ids [batch, sequence].", nameof(tokens));
        if (mask is not null && !mask.shape.AsSpan().SequenceEqual(tokens.shape))
            throw new ArgumentException($"The mask is [{string.Join(", ", mask.shape)}]; expected the shape of the tokens [{string.Join(", ", tokens.shape)}].", nameof(mask));
        if (mask is not null && cache is not null)
            throw new ArgumentException("A mask and a cache do not go together: generate one text at a time, or without a cache.", nameof(mask));
        if (tokens.numel() == 0) return;

        using var scope = NewDisposeScope();
        long least = tokens.min().item<long>(), greatest = tokens.max().item<long>();
        if (least < 0 || greatest >= Options.VocabularySize)
            throw new ArgumentException($"Token id {(least < 0 ? least : greatest)} is outside the vocabulary of {Options.VocabularySize}; use the model's own tokenizer.", nameof(tokens));
    }
}

/// <summary>What a <see cref="DecoderModel"/> returns.</summary>
/// <param name="Hidden">Hidden states [B, S, D] after the final norm; <see cref="DecoderModel.Logits"/> turns them into logits.</param>
/// <param name="Routing">The routing of each MoE layer, first to last.</param>
public sealed record DecoderOutput(Tensor Hidden, IReadOnlyList<RoutingStatistics> Routing);
