using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>The rows that one thread works on, kept for its next call.</summary>
internal sealed unsafe class RowScratch
{
    private const int FloatRows = 11 + TokenBlock.Tokens, IntRows = 4 + TokenBlock.Tokens;

    [ThreadStatic]
    private static RowScratch? _own;

    private readonly float[] _floatMemory;
    private readonly int[] _intMemory;
    private readonly float* _floats;
    private readonly int* _ints;
    private readonly int _padded;

    private RowScratch(int padded)
    {
        _padded = padded;
        _floatMemory = GC.AllocateArray<float>(FloatRows * padded, pinned: true);
        _intMemory = GC.AllocateArray<int>(IntRows * padded, pinned: true);
        _floats = (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_floatMemory));
        _ints = (int*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_intMemory));
    }

    /// <summary>This thread's rows of at least <paramref name="padded"/> values.</summary>
    public static RowScratch Of(int padded) => _own is { } own && own._padded >= padded ? own : _own = new RowScratch(padded);

    /// <summary>The logits of a token: this row, or the token's own memory where that needs no padding.</summary>
    public float* Logits { get; private set; }

    /// <summary>Takes up the logits of a token, which are only read.</summary>
    public void TakeLogits(float* own, int count)
    {
        if (count % RowMath.Lanes == 0) Logits = own;
        else RowMath.Load(own, Logits = Floats(0), count, float.NegativeInfinity);
    }

    /// <summary>The largest logit of the row.</summary>
    public float Max { get; set; }

    /// <summary>The sum that the softmax of the row was divided by.</summary>
    public float Sum { get; set; }

    public float* Softmax => Floats(1);

    /// <summary>The router's scores where they are neither the softmax nor the logits.</summary>
    public float* OwnScores => Floats(2);

    public float* Choice => Floats(3);

    public float* Spare => Floats(4);

    public float* DScores => Floats(5);

    public float* DSoftmax => Floats(6);

    public float* DLogits => Floats(7);

    /// <summary>Two rows of draws.</summary>
    public float* Draws => Floats(8);

    /// <summary>What is added to a row before the choice.</summary>
    public float* Bias => Floats(10);

    public int* Keys => Ints(0);

    public int* Ranks => Ints(1);

    public int* Kept => Ints(2);

    public int* Selected => Ints(3);

    /// <summary>The places of what may be chosen of a row: where the keys of tokens are that are routed together, as such a row is not.</summary>
    public int* Places => BlockKeys(0);

    /// <summary>The scores of one of sixteen tokens that are routed together.</summary>
    public float* BlockScores(int place) => Floats(11 + place);

    /// <summary>Its keys.</summary>
    public int* BlockKeys(int place) => Ints(4 + place);

    private float* Floats(int row) => _floats + row * _padded;

    private int* Ints(int row) => _ints + row * _padded;
}
