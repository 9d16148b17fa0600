using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// What happens to a tile of 16 gate and 16 up columns while it lies in the nearest cache: biases, clamps, activation. The choices are
/// made once, by the type.
/// </summary>
internal abstract unsafe class GatedEpilogue
{
    private const int Turn = 16;

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
        limit is { } bound ? AsWide<Clamped<TActivation>>((float)bound) : AsWide<Unclamped<TActivation>>(0);

    private static GatedEpilogue AsWide<TActivation>(float limit)
        where TActivation : struct, IClampedActivation =>
        Vector512.IsHardwareAccelerated ? new Of<TActivation, Lanes16>(limit)
        : Vector256.IsHardwareAccelerated ? new Of<TActivation, Lanes8>(limit)
        : new Of<TActivation, Lanes4>(limit);

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
        static abstract TLanes Value<TLanes>(TLanes gate, TLanes up, TLanes limit)
            where TLanes : struct, IFloatLanes<TLanes>;

        static abstract (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up, TLanes limit)
            where TLanes : struct, IFloatLanes<TLanes>;
    }

    private readonly struct Unclamped<TActivation> : IClampedActivation
        where TActivation : struct, IGatedActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TLanes Value<TLanes>(TLanes gate, TLanes up, TLanes limit)
            where TLanes : struct, IFloatLanes<TLanes> => TActivation.Value(gate, up);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up, TLanes limit)
            where TLanes : struct, IFloatLanes<TLanes> => TActivation.Slopes(gate, up);
    }

    // gate to at most the limit, up to ± the limit; beyond a clamp its slope is zero
    private readonly struct Clamped<TActivation> : IClampedActivation
        where TActivation : struct, IGatedActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TLanes Value<TLanes>(TLanes gate, TLanes up, TLanes limit)
            where TLanes : struct, IFloatLanes<TLanes> =>
            TActivation.Value(TLanes.Min(gate, limit), TLanes.Max(TLanes.Min(up, limit), -limit));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up, TLanes limit)
            where TLanes : struct, IFloatLanes<TLanes>
        {
            var slopes = TActivation.Slopes(TLanes.Min(gate, limit), TLanes.Max(TLanes.Min(up, limit), -limit));
            return (TLanes.AndNot(slopes.Gate, TLanes.GreaterThan(gate, limit)), TLanes.AndNot(slopes.Up, TLanes.GreaterThan(TLanes.Abs(up), limit)));
        }
    }

    private sealed class Of<TActivation, TLanes>(float limit) : GatedEpilogue
        where TActivation : struct, IClampedActivation
        where TLanes : struct, IFloatLanes<TLanes>
    {
        private readonly float _limit = limit;

        public override void Activate(float* tile, nint tileStride, int rows, byte* hidden, nint stride, TileType type)
        {
            var limit = TLanes.Create(_limit);
            for (int row = 0; row < rows; row++, tile += tileStride, hidden += stride)
            {
                for (int i = 0; i < Turn; i += TLanes.Count)
                {
                    var value = TActivation.Value(TLanes.Load(tile + i), TLanes.Load(tile + Turn + i), limit);
                    if (type == TileType.Float32) value.Store((float*)hidden + i);
                    else value.StoreBFloat16((ushort*)hidden + i);
                }
            }
        }

        public override void Differentiate(float* kept, nint keptStride, float* upstream, int rows, float* weights, float* gradients, float* products, float* hidden, nint hiddenStride)
        {
            var limit = TLanes.Create(_limit);
            for (int row = 0; row < rows; row++)
            {
                var weight = TLanes.Create(weights is null ? 1 : weights[row]);
                for (int i = 0; i < Turn; i += TLanes.Count)
                {
                    TLanes gate = TLanes.Load(kept + i), up = TLanes.Load(kept + Turn + i), gradient = TLanes.Load(upstream + i);
                    var value = TActivation.Value(gate, up, limit);
                    products[row] += TLanes.Sum(gradient * value);
                    (value * weight).Store(hidden + i);

                    var slopes = TActivation.Slopes(gate, up, limit);
                    gradient *= weight;
                    (gradient * slopes.Gate).Store(gradients + i);
                    (gradient * slopes.Up).Store(gradients + Turn + i);
                }

                kept += keptStride;
                gradients += keptStride;
                upstream += TileKernel.Columns;
                hidden += hiddenStride;
            }
        }
    }
}
