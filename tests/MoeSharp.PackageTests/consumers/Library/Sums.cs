using TorchSharp;

namespace Library;

public static class Sums
{
    public static long UpTo(int end)
    {
        using var scope = torch.NewDisposeScope();
        return torch.arange(end).sum().item<long>();
    }
}
