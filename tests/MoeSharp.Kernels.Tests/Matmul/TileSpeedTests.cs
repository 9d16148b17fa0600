using System.Diagnostics;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MoeSharp.Kernels.Tests;

/// <summary>What share of the processor's multiply-adds each tile reaches on one core: the numbers of docs/kernels/tiles.md.</summary>
public sealed unsafe class TileSpeedTests(ITestOutputHelper output)
{
    private const int Depth = 2048;
    private const int Rounds = 31;

    private static readonly int[] Rows = [1, 2, 3, 4, 6, 8, 10, 14];

    /// <summary>Every round times the loop of nothing but multiply-adds, then the tiles; a share is the median over rounds.</summary>
    [Fact(Explicit = true)]
    public void Tiles_OnOneCore_ReachTheirShareOfThePeak()
    {
        Assert.SkipUnless(Fma.IsSupported, "The peak is measured with AVX2 or AVX-512.");
        output.WriteLine($"kernel                  {string.Concat(Rows.Select(rows => $"{rows,8}"))}   (% of the peak of float32; of bfloat16 in brackets)");
        foreach (var kernel in KernelCatalog.RunnableTiles)
        {
            var shares = Rows.Select(rows => rows <= kernel.MaxRows ? Share(kernel, rows, panels: 1) : (0, 0)).ToArray();
            output.WriteLine($"{kernel.Name,-24}{string.Concat(shares.Select(share => share.OfFloat32 == 0 ? "       -" : $"{share.OfFloat32,8:F1}"))}");
            if (kernel.Type == TileType.BFloat16 && HasBFloat16) output.WriteLine($"{"",-24}{string.Concat(shares.Select(share => share.OfFloat32 == 0 ? "       -" : $"{$"({share.OfBFloat16:F1})",8}"))}");
            if (kernel.LeastRowsToWiden < int.MaxValue) output.WriteLine($"  widened               {string.Concat(Rows.TakeWhile(rows => rows <= kernel.MaxRows).Select(rows => $"{Share(kernel, rows, panels: 1, isWide: true).OfFloat32,8:F1}"))}");
            if (kernel.PanelsOf(1) > 1) output.WriteLine($"  panels together       {string.Concat(Rows.TakeWhile(rows => kernel.PanelsOf(rows) > 1).Select(rows => $"{$"({Share(kernel, rows, kernel.PanelsOf(rows)).OfBFloat16:F1})",8}"))}");
        }
    }

    // several panels are as many times shorter, and a widened one is half as deep: all of it lies in the second cache
    private static (double OfFloat32, double OfBFloat16) Share(TileKernel kernel, int rows, int panels, bool isWide = false)
    {
        int depth = Depth / (isWide ? 2 : panels), lanes = isWide ? depth : Depth;
        int stride = Depth * 4 + 64;
        using var memory = new AlignedMemory(rows * stride + Depth * 128 + panels * rows * 128 + 4096, "a tile");
        memory.Clear();
        byte* start = memory.Start;
        byte** places = stackalloc byte*[rows];
        new TileInputs(start, stride, rows).Place(0, rows, places);
        var arguments = new TileArguments { Rows = places, B = start + (rows * stride + 63) / 64 * 64, Depth = depth, PanelStep = depth * 128 };
        arguments.C = (float*)(arguments.B + Depth * 128);
        int calls = Math.Max(1, (kernel.Name.EndsWith("scalar", StringComparison.Ordinal) ? 8 : 1024) / rows);
        var (ofFloat32, ofBFloat16) = (new List<double>(), new List<double>());
        for (int round = 0; round < Rounds + 5; round++)
        {
            double float32 = Peak(Float32Peak), bfloat16 = HasBFloat16 ? Peak(BFloat16Peak) : 0;
            kernel.Multiply(&arguments, rows, TilePrefetch.None);
            long from = Stopwatch.GetTimestamp();
            for (int call = 0; call < calls; call++)
            {
                if (isWide) kernel.MultiplyWide(&arguments, rows, TilePrefetch.None);
                else if (panels == 1) kernel.Multiply(&arguments, rows, TilePrefetch.None);
                else kernel.MultiplyPanels(&arguments, rows);
            }

            double speed = (double)calls * rows * lanes * (kernel.Type == TileType.BFloat16 ? 64 : 32) / Stopwatch.GetElapsedTime(from).TotalSeconds;
            if (round < 5) continue;

            ofFloat32.Add(100 * speed / float32);
            ofBFloat16.Add(100 * speed / bfloat16);
        }

        return (ofFloat32.Order().ElementAt(Rounds / 2), ofBFloat16.Order().ElementAt(Rounds / 2));
    }

    /// <summary>Multiply-adds in a second.</summary>
    private static double Peak((nint Loop, int PerStep) peak)
    {
        const int Steps = 20_000;
        long from = Stopwatch.GetTimestamp();
        ((delegate* unmanaged<long, void>)peak.Loop)(Steps);
        return (double)Steps * peak.PerStep / Stopwatch.GetElapsedTime(from).TotalSeconds;
    }

    private static bool HasBFloat16 => BFloat16Avx512.HasInstructions;

    private static readonly (nint, int) Float32Peak = Avx512F.IsSupported
        ? Loop(24, 16, (code, sum) => code.vfmadd231ps(Zmm(sum), zmm30, zmm31))
        : Loop(12, 8, (code, sum) => code.vfmadd231ps(Ymm(sum), ymm14, ymm15));

    private static readonly (nint, int) BFloat16Peak = HasBFloat16 ? Loop(24, 32, (code, sum) => code.vdpbf16ps(Zmm(sum), zmm30, zmm31)) : default;

    /// <summary>A loop of so many sums, and the multiply-adds of a turn.</summary>
    private static (nint Loop, int PerStep) Loop(int sums, int values, Action<Assembler, int> multiplyAdd)
    {
        var code = new Assembler(64);
        var again = code.CreateLabel();
        code.mov(rax, OperatingSystem.IsWindows() ? rcx : rdi);
        code.vzeroall();
        for (int i = 16; i < 32 && Avx512F.IsSupported; i++) code.vpxord(Zmm(i), Zmm(i), Zmm(i));
        code.Label(ref again);
        for (int i = 0; i < sums; i++) multiplyAdd(code, i);
        code.dec(rax);
        code.jnz(again);
        code.vzeroupper();
        code.ret();

        using var bytes = new MemoryStream();
        code.Assemble(new StreamCodeWriter(bytes), 0);
        return (ExecutableMemory.TryPublish(bytes.ToArray()), sums * values);
    }

    private static AssemblerRegisterZMM Zmm(int number) => new(Register.ZMM0 + number);

    private static AssemblerRegisterYMM Ymm(int number) => new(Register.YMM0 + number);
}
