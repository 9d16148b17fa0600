using MoeSharp;
using static TorchSharp.torch;

var options = new MoeOptions
{
    HiddenSize = 16,
    Router = new() { ExpertCount = 8, TopK = 2 },
    Experts = new() { IntermediateSize = 32 },
};
using var scope = NewDisposeScope();
using var layer = new RoutedMoE(options);

var output = layer.call(randn(3, 5, 16));

var selections = output.Statistics.TokensPerExpert.sum().item<long>();
Console.WriteLine($"{string.Join(" x ", output.Hidden.shape)}, {selections} selections");
