namespace MoeSharp;

/// <summary>
/// The outer product of bfloat16 by vdpbf16ps: up to 14 rows by two vectors of 16 columns, two tokens a step, in machine code that
/// <see cref="OuterEmitter"/> writes. Its twin in C#, with the same bits, is <see cref="BFloat16OuterPortable"/>.
/// </summary>
internal sealed unsafe class BFloat16OuterAvx512 : OuterKernel, IAssembledKernel
{
    private static readonly BFloat16OuterPortable Twin = new();

    private readonly AssembledTiles _tiles;

    public BFloat16OuterAvx512()
    {
        _tiles = new(MaxRows, Twin.Name, Code, ExecutableMemory.TryPublish, (tile, rows) => TileCheck.Agrees(tile, rows, Twin));
    }

    public override string Name => "outer.bf16.avx512.asm";

    public override bool IsSupported => BFloat16Avx512.HasInstructions && _tiles.TryGet(MaxRows, TilePrefetch.None, out _);

    public override TileType Type => TileType.BFloat16;

    public override int MaxRows => 14;

    public string? Obstacle => !BFloat16Avx512.HasInstructions ? "needs AVX512-BF16" : IsSupported ? null : $"is switched off: {Fault}";

    public string? Fault => _tiles.Fault;

    public byte[] Code(int rows, TilePrefetch prefetch) => OuterEmitter.Emit(rows, BFloat16Emitter.Native);     // fetches nothing

    public override void Multiply(OuterArguments* arguments, int rows)
    {
        if (_tiles.TryGet(rows, TilePrefetch.None, out nint tile)) ((delegate* unmanaged[SuppressGCTransition]<OuterArguments*, void>)tile)(arguments);
        else TileCheck.MultiplyInBlocks(Twin, arguments, rows);
    }
}
