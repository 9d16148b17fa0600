namespace MoeSharp;

/// <summary>How much a pass has to do.</summary>
internal static class PassWork
{
    private const long WorthWaking = 2_500_000; // multiply-adds: about 50 µs of one thread
    private const int WorkPerByte = 4;          // multiply-adds that take as long as a byte of weights from memory

    /// <summary>Whether sleeping threads are woken for so many multiply-adds with so many bytes of weights.</summary>
    public static bool IsWorthWaking(long multiplyAdds, long weightBytes) => multiplyAdds + WorkPerByte * weightBytes > WorthWaking;
}
