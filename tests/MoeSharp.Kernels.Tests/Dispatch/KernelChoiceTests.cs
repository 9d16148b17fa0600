namespace MoeSharp.Kernels.Tests;

public sealed class KernelChoiceTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(" , ")]
    public void Make_WithoutAWish_TakesTheFirstThatCanRun(string? wish)
    {
        var choices = KernelChoice.Make(KernelCatalog.Candidates, wish);

        Assert.Equal(["matmul.f32", "matmul.bf16", "outer.f32", "outer.bf16"], choices.Select(choice => choice.Candidate.Operation));
        Assert.All(choices, choice => Assert.Equal(KernelCatalog.Candidates.First(candidate => candidate.Operation == choice.Candidate.Operation && candidate.IsSupported), choice.Candidate));
    }

    [Fact]
    public void Make_WithAWish_TakesItAndLeavesTheOthers()
    {
        var choices = KernelChoice.Make(KernelCatalog.Candidates, " matmul.f32.scalar ");

        Assert.Equal("matmul.f32.scalar", choices[0].Candidate.Name);
        Assert.Equal("MOESHARP_KERNEL names it", choices[0].Reason);
        Assert.Equal(KernelChoice.Make(KernelCatalog.Candidates, null).Skip(1), choices.Skip(1));
    }

    [Fact]
    public void Make_WithAWishForEachOperation_TakesAll()
    {
        var choices = KernelChoice.Make(KernelCatalog.Candidates, "outer.f32.scalar,matmul.bf16.scalar,outer.bf16.scalar,matmul.f32.scalar");

        Assert.Equal(["matmul.f32.scalar", "matmul.bf16.scalar", "outer.f32.scalar", "outer.bf16.scalar"], choices.Select(choice => choice.Candidate.Name));
    }

    [Fact]
    public void Make_WithAWishThatIsNoKernel_ListsTheKernels()
    {
        var error = Assert.Throws<MoeException>(() => KernelChoice.Make(KernelCatalog.Candidates, "matmul.f32.scaler"));

        Assert.Equal($"The environment variable MOESHARP_KERNEL names 'matmul.f32.scaler', which is no kernel. Did you mean 'matmul.f32.scalar'? Kernels that can run here: {string.Join(", ", KernelCatalog.Candidates.Where(candidate => candidate.IsSupported).Select(candidate => candidate.Name))}.", error.Message);
    }

    [Fact]
    public void Make_WithAWishThatCannotRunHere_SaysWhatItNeeds()
    {
        KernelCandidate[] candidates = [new(new Unsupported(), "a processor of tomorrow"), .. KernelCatalog.Candidates];

        var error = Assert.Throws<MoeException>(() => KernelChoice.Make(candidates, "matmul.f32.tomorrow"));

        Assert.StartsWith("The environment variable MOESHARP_KERNEL names 'matmul.f32.tomorrow', which cannot run here: it needs a processor of tomorrow.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Make_WithTwoWishesForOneOperation_IsRefused()
    {
        KernelCandidate[] candidates = [new(new Float32Scalar(), "nothing"), new(new Float32Vector128(), "vectors of 128 bits")];
        Assert.SkipUnless(candidates[1].IsSupported, "No vectors.");

        var error = Assert.Throws<MoeException>(() => KernelChoice.Make(candidates, "matmul.f32.vector128,matmul.f32.scalar"));

        Assert.StartsWith("The environment variable MOESHARP_KERNEL names both 'matmul.f32.vector128' and 'matmul.f32.scalar' for matmul.f32; name one.", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Tile_OfAType_MultipliesIt(int type)
    {
        Assert.Equal((TileType)type, KernelCatalog.Tile((TileType)type).Type);
    }

    [Fact]
    public void Outer_OfFloat32_MultipliesIt()
    {
        Assert.Equal(TileType.Float32, KernelCatalog.Outer(TileType.Float32).Type);
    }

    [Fact]
    public void Candidates_HaveNamesOfTheirOwn()
    {
        Assert.Distinct(KernelCatalog.Candidates.Select(candidate => candidate.Name));
    }

    [Fact]
    public void WarningsOf_AKernelThatFailedItsCheck_NamesWhatTakesItsPlace()
    {
        KernelCandidate[] candidates = [new(new Failed(), "nothing"), .. KernelCatalog.Candidates];
        var choice = KernelChoice.Make(candidates, "matmul.f32.scalar")[0];

        Assert.Equal(["matmul.f32.failed is not used, or not for all tiles: it cannot add. matmul.f32.scalar takes its place, and is slower."], choice.WarningsOf(candidates));
    }

    private sealed class Failed : Unsupported, IAssembledKernel
    {
        public override string Name => "matmul.f32.failed";

        public string? Obstacle => Fault;

        public string? Fault => "it cannot add";

        public byte[] Code(int rows, TilePrefetch prefetch) => [];
    }

    private unsafe class Unsupported : TileKernel
    {
        public override string Name => "matmul.f32.tomorrow";

        public override bool IsSupported => false;

        public override TileType Type => TileType.Float32;

        public override int MaxRows => 1;

        public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch) => throw new PlatformNotSupportedException();
    }
}
