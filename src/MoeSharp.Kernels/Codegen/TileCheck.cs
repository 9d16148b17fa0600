namespace MoeSharp;

/// <summary>Holds an assembled tile of bfloat16 against its managed twin before anybody relies on it.</summary>
internal static unsafe class TileCheck
{
    private const int Depth = 11; // two rounds of the unrolled loop, and a rest

    private delegate void Comparison(byte* a, byte* b, float* actual, float* expected);

    /// <summary>Whether a tile of random values has the twin's bits; <paramref name="panels"/> of them are the same one, each begun a lane of depth later.</summary>
    public static bool Agrees(nint tile, int rows, TileKernel twin, int panels = 1) => Agrees(rows * panels, (a, b, actual, expected) =>
    {
        const int Later = TileKernel.Columns * sizeof(uint);
        byte** places = stackalloc byte*[rows];
        new TileInputs(a, Depth * sizeof(uint), rows).Place(0, rows, places);
        var arguments = new TileArguments { Rows = places, B = b, C = actual, Depth = Depth - panels + 1, PanelStep = Later };
        ((delegate* unmanaged[SuppressGCTransition]<TileArguments*, void>)tile)(&arguments);
        for (int panel = 0; panel < panels; panel++)
        {
            arguments.B = b + panel * Later;
            arguments.C = expected + panel * rows * TileKernel.Columns;
            MultiplyInBlocks(twin, &arguments, rows);
        }
    });

    /// <summary>The same of an outer product.</summary>
    public static bool Agrees(nint tile, int rows, OuterKernel twin) => Agrees(rows, (a, b, actual, expected) =>
    {
        var arguments = new OuterArguments { A = a, AStride = rows * sizeof(uint), B = b, BStride = TileKernel.Columns * sizeof(uint), C = actual, Depth = Depth };
        ((delegate* unmanaged[SuppressGCTransition]<OuterArguments*, void>)tile)(&arguments);
        arguments.C = expected;
        MultiplyInBlocks(twin, &arguments, rows);
    });

    private static bool Agrees(int rows, Comparison multiply)
    {
        var random = new Random(1);
        uint[] a = Draw(rows * Depth, random), b = Draw(Depth * TileKernel.Columns, random);
        float[] actual = new float[rows * TileKernel.Columns], expected = new float[rows * TileKernel.Columns];
        fixed (uint* pointerA = a, pointerB = b)
        fixed (float* pointerActual = actual, pointerExpected = expected)
        {
            multiply((byte*)pointerA, (byte*)pointerB, pointerActual, pointerExpected);
        }

        return actual.AsSpan().SequenceEqual(expected);
    }

    /// <summary>A tile of any number of rows, from a kernel that may have a smaller one.</summary>
    public static void MultiplyInBlocks(TileKernel kernel, TileArguments* arguments, int rows)
    {
        var block = *arguments;
        for (int row = 0; row < rows; row += kernel.MaxRows)
        {
            block.Rows = arguments->Rows + row;
            block.C = arguments->C + row * TileKernel.Columns;
            kernel.Multiply(&block, Math.Min(kernel.MaxRows, rows - row), TilePrefetch.None);
        }
    }

    /// <summary>The same of an outer product.</summary>
    public static void MultiplyInBlocks(OuterKernel kernel, OuterArguments* arguments, int rows)
    {
        var block = *arguments;
        for (int row = 0; row < rows; row += kernel.MaxRows)
        {
            block.A = arguments->A + row * sizeof(uint);
            block.C = arguments->C + row * TileKernel.Columns;
            kernel.Multiply(&block, Math.Min(kernel.MaxRows, rows - row));
        }
    }

    // two bfloat16 of many sizes in each lane, so that another order of the sums would show
    private static uint[] Draw(int lanes, Random random)
    {
        uint[] drawn = new uint[lanes];
        for (int i = 0; i < lanes; i++) drawn[i] = BFloat16Values.Round(Value()) | (uint)BFloat16Values.Round(Value()) << 16;
        return drawn;

        float Value() => (random.NextSingle() - 0.5f) * (1 << random.Next(12));
    }
}
