using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// What happens to a tile of 16 gate and 16 up columns while it lies in the nearest cache: biases, clamps, activation. The choices are
/// made once, by the type.
/// </summary>
internal abstract unsafe class GatedEpilogue
{
    /// <summary>The epilogue that <paramref name="activation"/> asks for.</summary>
    public static GatedEpilogue Create(ExpertActivation activation, double? limit) => activation switch
    {
        ExpertActivation.Silu => Create<SiluActivation>(limit),
        ExpertActivation.Gelu => Create<GeluActivation>(limit),
        ExpertActivation.GeluTanh => Create<GeluTanhActivation>(limit),
        ExpertActivation.Relu => Create<ReluActivation>(limit),
        ExpertActivation.Relu2 => Create<Relu2Activation>(limit),
        ExpertActivation.GptOss => Create<GptOssActivation>(limit),
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, "No such activation."),
    };

    private static GatedEpilogue Create<TActivation>(double? limit)
        where TActivation : struct, IGatedActivation =>
        limit is { } bound ? new Of<Clamped<TActivation>>((float)bound) : new Of<Unclamped<TActivation>>(0);

    /// <summary>Adds the biases to a tile, in place.</summary>
    /// <param name="tile">[rows][32]: 16 columns of the gate, then the same of up.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="bias">The 32 biases of the columns.</param>
    public static void AddBias(float* tile, int rows, float* bias)
    {
        var (left, right) = (Vector512.Load(bias), Vector512.Load(bias + 16));
        for (int row = 0; row < rows; row++, tile += TileKernel.Columns)
        {
            (Vector512.Load(tile) + left).Store(tile);
            (Vector512.Load(tile + 16) + right).Store(tile + 16);
        }
    }

    /// <summary>Computes 16 columns of the hidden rows from pre-activations.</summary>
    /// <param name="tile">[rows][32] with <paramref name="tileStride"/> values between rows: 16 columns of the gate, then the same of up.</param>
    /// <param name="tileStride">Values from a row of the tile to the next.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="hidden">Receives the 16 columns of the first row.</param>
    /// <param name="stride">Bytes from a hidden row to the next.</param>
    /// <param name="type">The type of the hidden rows.</param>
    public abstract void Activate(float* tile, nint tileStride, int rows, byte* hidden, nint stride, TileType type);

    /// <summary>The gradients of 16 columns of pre-activations from those of the hidden rows: scales by the row's weight, and sums for the weight's own gradient.</summary>
    /// <param name="kept">The pre-activations [rows][32] with <paramref name="keptStride"/> values between rows.</param>
    /// <param name="keptStride">Values from one row of pre-activations, or of their gradients, to the next.</param>
    /// <param name="upstream">The gradients [rows][32] of the hidden columns before weighting, of which these are 16.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="weights">The weight of each row; null for one.</param>
    /// <param name="gradients">Receives the gradients of the pre-activations, in their layout.</param>
    /// <param name="products">Σ upstream · hidden of each row, to which these columns are added.</param>
    /// <param name="hidden">Receives the hidden columns again, times the weight.</param>
    /// <param name="hiddenStride">Values from a hidden row to the next.</param>
    public abstract void Differentiate(float* kept, nint keptStride, float* upstream, int rows, float* weights, float* gradients, float* products, float* hidden, nint hiddenStride);

    private interface IClampedActivation
    {
        static abstract Vector512<float> Value(Vector512<float> gate, Vector512<float> up, Vector512<float> limit);

        static abstract (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up, Vector512<float> limit);
    }

    private readonly struct Unclamped<TActivation> : IClampedActivation
        where TActivation : struct, IGatedActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Value(Vector512<float> gate, Vector512<float> up, Vector512<float> limit) => TActivation.Value(gate, up);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up, Vector512<float> limit) => TActivation.Slopes(gate, up);
    }

    // gate to at most the limit, up to ± the limit; beyond a clamp its slope is zero
    private readonly struct Clamped<TActivation> : IClampedActivation
        where TActivation : struct, IGatedActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Value(Vector512<float> gate, Vector512<float> up, Vector512<float> limit) =>
            TActivation.Value(Vector512.Min(gate, limit), Vector512.Max(Vector512.Min(up, limit), -limit));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up, Vector512<float> limit)
        {
            var slopes = TActivation.Slopes(Vector512.Min(gate, limit), Vector512.Max(Vector512.Min(up, limit), -limit));
            return (slopes.Gate & ~Vector512.GreaterThan(gate, limit), slopes.Up & ~Vector512.GreaterThan(Vector512.Abs(up), limit));
        }
    }

    private sealed class Of<TActivation>(float limit) : GatedEpilogue
        where TActivation : struct, IClampedActivation
    {
        private readonly float _limit = limit;

        public override void Activate(float* tile, nint tileStride, int rows, byte* hidden, nint stride, TileType type)
        {
            var limit = Vector512.Create(_limit);
            for (int row = 0; row < rows; row++, tile += tileStride, hidden += stride)
            {
                var value = TActivation.Value(Vector512.Load(tile), Vector512.Load(tile + 16), limit);
                if (type == TileType.Float32) value.Store((float*)hidden);
                else Vector512.Narrow(BFloat16Values.Rounded(value), Vector512<uint>.Zero).GetLower().Store((ushort*)hidden);
            }
        }

        public override void Differentiate(float* kept, nint keptStride, float* upstream, int rows, float* weights, float* gradients, float* products, float* hidden, nint hiddenStride)
        {
            var limit = Vector512.Create(_limit);
            for (int row = 0; row < rows; row++)
            {
                var (gate, up, gradient) = (Vector512.Load(kept), Vector512.Load(kept + 16), Vector512.Load(upstream));
                var weight = Vector512.Create(weights is null ? 1 : weights[row]);
                var value = TActivation.Value(gate, up, limit);
                products[row] += Vector512.Sum(gradient * value);
                (value * weight).Store(hidden);

                var slopes = TActivation.Slopes(gate, up, limit);
                gradient *= weight;
                (gradient * slopes.Gate).Store(gradients);
                (gradient * slopes.Up).Store(gradients + 16);
                kept += keptStride;
                gradients += keptStride;
                upstream += TileKernel.Columns;
                hidden += hiddenStride;
            }
        }
    }
}
