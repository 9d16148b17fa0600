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
    public abstract void Differentiate(in TurnGradients turn);

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

        [MethodImpl(MethodImplOptions.NoInlining)]
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

        public override void Differentiate(in TurnGradients turn)
        {
            if (turn.Hidden is null) Differentiate<Again>(turn);
            else Differentiate<Kept>(turn);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private void Differentiate<THidden>(TurnGradients turn)
            where THidden : struct, IHidden
        {
            var limit = TLanes.Create(_limit);
            for (int row = 0; row < turn.Rows; row++)
            {
                var weight = TLanes.Create(turn.Weights is null ? 1 : turn.Weights[row]);
                for (int i = 0; i < Turn; i += TLanes.Count)
                {
                    TLanes gate = TLanes.Load(turn.PreActivations + i), up = TLanes.Load(turn.PreActivations + Turn + i), gradient = TLanes.Load(turn.Upstream + i);
                    var value = THidden.Value(turn.Hidden + i, gate, up, limit);
                    turn.Products[row] += TLanes.Sum(gradient * value);
                    (value * weight).Store(turn.Weighted + i);

                    var slopes = TActivation.Slopes(gate, up, limit);
                    gradient *= weight;
                    (gradient * slopes.Gate).Store(turn.Gradients + i);
                    (gradient * slopes.Up).Store(turn.Gradients + Turn + i);
                }

                turn.PreActivations += turn.Stride;
                turn.Gradients += turn.GradientStride;
                turn.Upstream += TileKernel.Columns;
                turn.Hidden += turn.HiddenStride;
                turn.Weighted += turn.WeightedStride;
            }
        }

        private interface IHidden
        {
            static abstract TLanes Value(float* kept, TLanes gate, TLanes up, TLanes limit);
        }

        // by the type, not by a test: the slopes then share the activation's exponential
        private readonly struct Again : IHidden
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            public static TLanes Value(float* kept, TLanes gate, TLanes up, TLanes limit) => TActivation.Value(gate, up, limit);
        }

        private readonly struct Kept : IHidden
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            public static TLanes Value(float* kept, TLanes gate, TLanes up, TLanes limit) => TLanes.Load(kept);
        }
    }
}
