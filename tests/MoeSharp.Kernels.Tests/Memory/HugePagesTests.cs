using System.Runtime.InteropServices;

namespace MoeSharp.Kernels.Tests;

public sealed unsafe class HugePagesTests
{
    /// <summary>More than a step of the system call, from a place that is no page's, up to one.</summary>
    [Theory]
    [InlineData(70L << 20, 64, 5)]
    [InlineData(3L << 20, 4096, 0)]
    [InlineData(1000, 8, 1)]
    public void Collapse_MemoryThatHoldsSomething_LeavesEveryByteWhereItWas(long bytes, int offset, int missing)
    {
        byte* memory = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 64);
        for (long i = 0; i < bytes; i++) memory[i] = (byte)(i * 7 + (i >> 12));

        HugePages.Collapse(memory + offset, bytes - offset - missing);

        long changed = 0;
        for (long i = 0; i < bytes; i++) changed += memory[i] == (byte)(i * 7 + (i >> 12)) ? 0 : 1;
        NativeMemory.AlignedFree(memory);
        Assert.Equal(0, changed);
    }
}
