using MoeSharp;
using TorchSharp;

var options = new MoeOptions
{
    HiddenSize = 16,
    Router = new() { ExpertCount = 8, TopK = 2 },
    Experts = new() { IntermediateSize = 32 },
};
options.Validate();

using var scope = torch.NewDisposeScope();
Console.WriteLine($"{options.Router.ExpertCount} experts, sum {torch.arange(10).sum().item<long>()}");
