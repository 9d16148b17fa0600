using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>
/// bfloat16 by vdpbf16ps, which C# cannot write: up to 14 rows by two vectors of 16 columns, in machine code that
/// <see cref="TileEmitter"/> writes for each number of rows when it is first used. From 3 rows on it was measured at 98 to 99 % of what a
/// Zen 4 core can do of this instruction. Its twin in C#, with the same bits, is <see cref="BFloat16Portable"/>.
/// </summary>
/// <remarks>
/// The instruction adds the product of the high halves of two lanes to the sum, then that of the low halves, each rounded once. It takes values
/// below float32's normal range for zero, and gives zero for them: only there the twin differs.
/// </remarks>
internal sealed unsafe class BFloat16Avx512 : TileKernel, IAssembledKernel
{
    private static readonly BFloat16Portable Twin = new();

    private const int MostWideRows = 5;

    private readonly AssembledTiles _tiles, _wide;

    public BFloat16Avx512()
        : this(ExecutableMemory.TryPublish)
    {
    }

    /// <summary>With another way of making code executable.</summary>
    public BFloat16Avx512(Func<byte[], nint> publish)
    {
        _tiles = new(MaxRows, Twin.Name, (rows, prefetch) => TileEmitter.Emit(rows, prefetch, BFloat16Emitter.Native), publish, (tile, rows) => TileCheck.Agrees(tile, rows, Twin));
        _wide = new(MostWideRows, Twin.Name, (rows, _) => WideTileEmitter.Emit(rows, PanelsOf(rows), BFloat16Emitter.Native), publish, (tile, rows) => TileCheck.Agrees(tile, rows, Twin, PanelsOf(rows)));
    }

    /// <summary>Whether the processor has the instructions.</summary>
    /// <remarks>The runtime knows no AVX512-BF16; that it knows AVX-512 says that the system saves the registers, and that no switch of .NET forbids them.</remarks>
    public static bool HasInstructions { get; } = Avx512F.IsSupported && Avx512BW.IsSupported && Avx512F.VL.IsSupported && HasBFloat16();

    public override string Name => "matmul.bf16.avx512.asm";

    public override bool IsSupported => HasInstructions && _tiles.TryGet(MaxRows, TilePrefetch.None, out _);

    public override TileType Type => TileType.BFloat16;

    public override int MaxRows => 14;

    public string? Obstacle => !HasInstructions ? "needs AVX512-BF16" : IsSupported ? null : $"is switched off: {Fault}";

    public string? Fault => _tiles.Fault ?? _wide.Fault;

    public byte[] Code(int rows, TilePrefetch prefetch) => TileEmitter.Emit(rows, prefetch, BFloat16Emitter.Native);

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch)
    {
        // microseconds, and calls nobody: needs no transition
        if (_tiles.TryGet(rows, prefetch, out nint tile)) ((delegate* unmanaged[SuppressGCTransition]<TileArguments*, void>)tile)(arguments);
        else TileCheck.MultiplyInBlocks(Twin, arguments, rows);
    }

    public override int PanelsOf(int rows) => rows <= 3 ? 4 : rows <= MostWideRows ? 2 : 1;

    public override void MultiplyPanels(TileArguments* arguments, int rows)
    {
        if (rows <= MostWideRows && _wide.TryGet(rows, TilePrefetch.None, out nint tile)) ((delegate* unmanaged[SuppressGCTransition]<TileArguments*, void>)tile)(arguments);
        else base.MultiplyPanels(arguments, rows);
    }

    private static bool HasBFloat16() => X86Base.IsSupported && X86Base.CpuId(7, 0).Eax >= 1 && (X86Base.CpuId(7, 1).Eax & 1 << 5) != 0;
}
