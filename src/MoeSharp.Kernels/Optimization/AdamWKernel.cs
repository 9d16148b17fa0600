using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>
/// AdamW in one pass over memory: decay, moments, bias correction and update of each weight while it is in registers. Per step t, with g = 0
/// where there is no gradient:
/// <code>
/// w ← w · (1 - rate · decay)
/// m ← m + (1 - beta1) · (g - m)                      fused multiply-add; for beta1 ≤ 0.5: g - beta1 · (g - m)
/// v ← v · beta2 + (1 - beta2) · g · g                fused multiply-add of the last product
/// w ← w + (-rate / (1 - beta1^t)) · m / (√v / √(1 - beta2^t) + epsilon)
/// </code>
/// </summary>
/// <remarks>
/// The order of operations is that of libtorch's fused kernel, whose bits it gives. bfloat16 moments are rounded when they are stored; the
/// update takes them as they were before. Every value is computed alike, whatever its place, the vector width, and the number of threads:
/// blocks of a fixed size are dealt to threads, and tails go through a padded copy.
/// </remarks>
internal static unsafe class AdamWKernel
{
    private const int BlockSize = 16_384;      // its seven streams stay in the cache of a core
    private const int PartSize = 2_048;        // weights and moments stay in the first-level cache while waiting steps are taken one after another
    private const int LongestLanes = 64;       // two vectors of 1,024 bits: room for a tail

    private static int Lanes => 2 * Vector<float>.Count;

    /// <summary>Takes the steps of all works.</summary>
    /// <exception cref="ArgumentException">An array is missing or overlaps another of the same work, or a beta is too close to 1 for bfloat16 moments.</exception>
    public static void Run(IReadOnlyList<AdamWWork> works, WorkerPool pool)
    {
        int[] ends = new int[works.Count];
        int blocks = 0;
        for (int i = 0; i < ends.Length; i++)
        {
            works[i].Check();
            ends[i] = blocks = checked(blocks + (int)((works[i].Arrays.Length + BlockSize - 1) / BlockSize));
        }

        pool.ForEach(blocks, block => TakeBlock(works, ends, block));
    }

    private static void TakeBlock(IReadOnlyList<AdamWWork> works, int[] ends, int block)
    {
        int i = Array.BinarySearch(ends, block + 1);
        if (i < 0) i = ~i;
        while (i > 0 && ends[i - 1] == ends[i]) i--;       // works of no length end where the one before does

        var (arrays, steps) = works[i];
        long start = (long)(block - (i == 0 ? 0 : ends[i - 1])) * BlockSize;
        Take(arrays.Slice(start, Math.Min(BlockSize, arrays.Length - start)), steps.Span);
    }

    private static void Take(in AdamWArrays arrays, ReadOnlySpan<AdamWStep> steps)
    {
        if (steps.IsEmpty || arrays.Length == 0) return;
        if (arrays.Gradient is null) TakeMoments<NoLanes>(arrays, steps);
        else if (arrays.HasBFloat16Gradient) TakeMoments<BFloat16Lanes>(arrays, steps);
        else TakeMoments<Float32Lanes>(arrays, steps);
    }

    private static void TakeMoments<TGradient>(in AdamWArrays arrays, ReadOnlySpan<AdamWStep> steps)
        where TGradient : struct, IAdamWLanes
    {
        switch (arrays.HasBFloat16Moments, arrays.Rounded is not null)
        {
            case (false, false): TakeAll<TGradient, Float32Lanes, NoLanes>(arrays, steps); break;
            case (false, true): TakeAll<TGradient, Float32Lanes, BFloat16Lanes>(arrays, steps); break;
            case (true, false): TakeAll<TGradient, BFloat16Lanes, NoLanes>(arrays, steps); break;
            default: TakeAll<TGradient, BFloat16Lanes, BFloat16Lanes>(arrays, steps); break;
        }
    }

    private static void TakeAll<TGradient, TMoment, TRounded>(in AdamWArrays arrays, ReadOnlySpan<AdamWStep> steps)
        where TGradient : struct, IAdamWLanes
        where TMoment : struct, IAdamWLanes
        where TRounded : struct, IAdamWLanes
    {
        long size = steps.Length == 1 ? arrays.Length : PartSize;
        for (long start = 0; start < arrays.Length; start += size)
        {
            var part = arrays.Slice(start, Math.Min(size, arrays.Length - start));
            foreach (var step in steps[..^1]) TakeStep<NoLanes, TMoment, NoLanes>(part, step);
            TakeStep<TGradient, TMoment, TRounded>(part, steps[^1]);
        }
    }

    private static void TakeStep<TGradient, TMoment, TRounded>(in AdamWArrays arrays, in AdamWStep step)
        where TGradient : struct, IAdamWLanes
        where TMoment : struct, IAdamWLanes
        where TRounded : struct, IAdamWLanes
    {
        long whole = arrays.Length - arrays.Length % Lanes;
        if (whole > 0) TakeWhole<TGradient, TMoment, TRounded>(arrays.Slice(0, whole), step);
        if (whole == arrays.Length) return;

        // padding of zeros stays what it is and is not copied back
        long* scratch = stackalloc long[5 * LongestLanes / 2];
        new Span<long>(scratch, 5 * LongestLanes / 2).Clear();
        var tail = arrays.Slice(whole, arrays.Length - whole);
        var padded = tail with
        {
            Length = Lanes,
            Weights = (float*)scratch,
            First = (float*)scratch + LongestLanes,
            Second = (float*)scratch + 2 * LongestLanes,
            Gradient = (float*)scratch + 3 * LongestLanes,
            Rounded = (ushort*)((float*)scratch + 4 * LongestLanes),
        };
        Debug.Assert(Lanes <= LongestLanes, "room for two vectors");
        Copy(tail.Weights, padded.Weights, tail.Length * sizeof(float));
        Copy(tail.First, padded.First, tail.Length * TMoment.Size);
        Copy(tail.Second, padded.Second, tail.Length * TMoment.Size);
        Copy(tail.Gradient, padded.Gradient, tail.Length * TGradient.Size);

        TakeWhole<TGradient, TMoment, TRounded>(padded, step);

        Copy(padded.Weights, tail.Weights, tail.Length * sizeof(float));
        Copy(padded.First, tail.First, tail.Length * TMoment.Size);
        Copy(padded.Second, tail.Second, tail.Length * TMoment.Size);
        Copy(padded.Rounded, tail.Rounded, tail.Length * TRounded.Size);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]      // else the loop runs unoptimised until it is called often
    private static void TakeWhole<TGradient, TMoment, TRounded>(in AdamWArrays arrays, in AdamWStep step)
        where TGradient : struct, IAdamWLanes
        where TMoment : struct, IAdamWLanes
        where TRounded : struct, IAdamWLanes
    {
        float* weights = arrays.Weights;
        void* first = arrays.First, second = arrays.Second, gradient = arrays.Gradient, rounded = arrays.Rounded;
        long length = arrays.Length;
        var constants = new Constants(step);

        for (long i = 0; i < length; i += Lanes)
        {
            var (w0, w1) = Float32Lanes.Load(weights, i);
            var (m0, m1) = TMoment.Load(first, i);
            var (v0, v1) = TMoment.Load(second, i);
            var (g0, g1) = TGradient.Load(gradient, i);

            Advance(ref w0, ref m0, ref v0, g0, constants);
            Advance(ref w1, ref m1, ref v1, g1, constants);

            Float32Lanes.Store(weights, i, w0, w1);
            TMoment.Store(first, i, m0, m1);
            TMoment.Store(second, i, v0, v1);
            TRounded.Store(rounded, i, w0, w1);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Advance(ref Vector<float> w, ref Vector<float> m, ref Vector<float> v, Vector<float> g, in Constants c)
    {
        m = Vector.FusedMultiplyAdd(c.Lerp, g - m, Vector.ConditionalSelect(c.IsFromMoment, m, g));
        v = Vector.FusedMultiplyAdd(c.Gain2 * g, g, v * c.Beta2);
        var root = Vector.SquareRoot(v);
        if (c.HasRoot) root /= c.Root;      // a third of the time goes into divisions: spared once the correction has faded to 1
        w = w * c.Keep + c.Move * m / (root + c.Epsilon);
    }

    private static void Copy(void* source, void* destination, long bytes)
    {
        if (bytes > 0) Buffer.MemoryCopy(source, destination, bytes, bytes);
    }

    private readonly struct Constants
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Constants(in AdamWStep step)
        {
            // interpolates from the nearer end, as torch.lerp does
            bool isFromMoment = step.Gain1 < 0.5f;
            IsFromMoment = Vector.Create(isFromMoment ? -1 : 0);
            Lerp = Vector.Create(isFromMoment ? step.Gain1 : step.Gain1 - 1);
            Beta2 = Vector.Create(step.Beta2);
            Gain2 = Vector.Create(step.Gain2);
            Keep = Vector.Create(step.Keep);
            HasRoot = step.Root != 1;
            Root = Vector.Create(step.Root);
            Epsilon = Vector.Create(step.Epsilon);
            Move = Vector.Create(step.Move);
        }

        public readonly bool HasRoot;
        public readonly Vector<int> IsFromMoment;
        public readonly Vector<float> Lerp, Beta2, Gain2, Keep, Root, Epsilon, Move;
    }
}
