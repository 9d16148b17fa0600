using MoeSharp.Checkpoints;
using static TorchSharp.torch;
using Functional = TorchSharp.torch.nn.functional;

namespace MoeSharp.Training;

/// <summary>
/// Causal grouped-query attention with rotary positions; queries and keys are normalised per head (Qwen3). Attention itself is libtorch's
/// scaled dot product; norms and turns are float32, products take the type of the input.
/// </summary>
internal sealed class Attention : nn.Module<Tensor, AttentionContext, Tensor>
{
    private readonly AttentionOptions _options;
    private readonly Projection _query, _key, _value, _output;
    private readonly RmsNorm _queryNorm, _keyNorm;

    public Attention(AttentionOptions options, int hiddenSize, double epsilon)
        : base(nameof(Attention))
    {
        _options = options;
        _query = new Projection(hiddenSize, (long)options.HeadCount * options.HeadSize, options.HasBias);
        _key = new Projection(hiddenSize, (long)options.KeyValueHeadCount * options.HeadSize, options.HasBias);
        _value = new Projection(hiddenSize, (long)options.KeyValueHeadCount * options.HeadSize, options.HasBias);
        _output = new Projection((long)options.HeadCount * options.HeadSize, hiddenSize, options.HasBias);
        _queryNorm = new RmsNorm(options.HeadSize, epsilon);
        _keyNorm = new RmsNorm(options.HeadSize, epsilon);
        RegisterComponents();
    }

    public Projection Query => _query;

    public Projection Key => _key;

    public Projection Value => _value;

    public Projection Output => _output;

    public RmsNorm QueryNorm => _queryNorm;

    public RmsNorm KeyNorm => _keyNorm;

    /// <summary>Attends from <paramref name="input"/> [B, S, D] to itself and to what the context's cache holds; the result is [B, S, D].</summary>
    public override Tensor forward(Tensor input, AttentionContext context)
    {
        using var scope = NewDisposeScope();

        var query = RotaryEmbedding.Rotate(_queryNorm.call(Heads(_query.call(input))).transpose(1, 2), context.Angles);     // [B, heads, S, size]
        var key = RotaryEmbedding.Rotate(_keyNorm.call(Heads(_key.call(input))).transpose(1, 2), context.Angles);           // [B, groups, S, size]
        var value = Heads(_value.call(input)).transpose(1, 2);
        (key, value) = context.Remember(key.to(input.dtype), value);

        var attended = Attend(query.to(input.dtype), key, value, context.Mask?.to(input.dtype), context.IsCausal);
        return _output.call(attended.transpose(1, 2).flatten(2)).MoveToOuterDisposeScope();
    }

    private Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor? mask, bool isCausal)
    {
        long[] shape = query.shape;
        if (shape[2] > 1) return Functional.scaled_dot_product_attention(query, Repeat(key), Repeat(value), mask, is_casual: mask is null && isCausal);

        // one position sees the same past with every head: the heads of a group stand in for positions, and nothing is repeated
        var grouped = query.reshape(shape[0], _options.KeyValueHeadCount, -1, shape[3]);      // [B, groups, heads of a group, size]
        return Functional.scaled_dot_product_attention(grouped, key, value, mask).reshape(shape);
    }

    /// <summary>[B, S, heads · size] → [B, S, heads, size].</summary>
    private Tensor Heads(Tensor projected) => projected.view(projected.size(0), projected.size(1), -1, _options.HeadSize);

    /// <summary>Gives each query head its group's keys or values: [B, groups, S, size] → [B, heads, S, size].</summary>
    private Tensor Repeat(Tensor groups)
    {
        int repeats = _options.HeadCount / _options.KeyValueHeadCount;
        return repeats == 1 ? groups : groups.repeat_interleave(repeats, 1);
    }
}
