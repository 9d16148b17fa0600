using MoeSharp.TestKit;
using TorchSharp;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class CaseExporterTests : IDisposable
{
    private static readonly MoeOptions Small = new() { HiddenSize = 3, Router = new() { ExpertCount = 4, TopK = 2 }, Experts = new() { IntermediateSize = 2 } };

    private readonly TemporaryFolder _folder = new();

    private string Target => _folder.File("own.case.safetensors");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Write_AnyLayer_IsACaseThatHoldsInEveryTensor(bool isRouter) => AnyCase.Any.ForEach(60, drawn =>
    {
        drawn.Write(Target, isRouter);

        var report = CaseVerifier.Verify(Target);

        Assert.DoesNotContain(report.Rows, row => !row.Passed);
        Assert.Empty(report.Skipped);
        Assert.Contains(report.Rows, row => row.Tensor.StartsWith("grad.", StringComparison.Ordinal));
        Assert.Equal(isRouter ? "router" : "layer", report.Kind);
    });

    [Fact]
    public void Write_OneFalseValueAfterwards_IsFound()
    {
        new ExampleCase().Write(Target);
        foreach (string tensor in EditableCase.Read(Target).Names.Where(name => name.StartsWith("output.", StringComparison.Ordinal) || name.StartsWith("grad.", StringComparison.Ordinal)))
        {
            var edited = EditableCase.Read(Target);
            edited.Falsify(tensor);
            edited.Write(_folder.File("false.case.safetensors"));

            Assert.Contains(CaseVerifier.Verify(_folder.File("false.case.safetensors")).Rows, row => row.Tensor == tensor && !row.Passed);
        }
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(2, 0)]
    [InlineData(1, 1)]
    public void Write_FewTokensOrNone_Holds(int batch, int sequence)
    {
        foreach (var select in (Selection[])[new Selection.TopK(), new Selection.QuantileBalance(), new Selection.Sinkhorn(), new Selection.SparseMixer(), new Selection.ExpertChoice()])
        {
            var options = Small with { Router = Small.Router with { Select = select }, Dispatch = new() { Capacity = new() { Factor = 1 } }, LoadBalance = [new() { Coefficient = 1 }], ZLossCoefficient = 1 };
            foreach (bool isRouter in (bool[])[false, true])
            {
                new ExampleCase { Options = options, Batch = batch, Sequence = sequence, IsRouterOnly = isRouter }.Write(Target);

                Assert.True(CaseVerifier.Verify(Target).Passed);
            }
        }
    }

    [Fact]
    public void Write_ALayer_HoldsWhatTheLayerItselfComputes()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Small with { Router = Small.Router with { InputJitter = 0.2, Select = new Selection.SparseMixer(0.4) } });
        var (hidden, call) = (randn(2, 3, 3) * 30, new RoutingCall { Step = 9 });

        CaseExporter.Write(Target, layer, hidden, call, "own");

        var own = layer.forward(hidden, call);
        Assert.Equal(own.Hidden.data<float>().ToArray(), EditableCase.Read(Target).Values<float>("output.y"));
        Assert.Equal(own.Statistics.Plan.Experts.Select(expert => (long)expert), EditableCase.Read(Target).Values<long>("output.expert_ids"));
    }

    [Fact]
    public void Write_ALayer_LeavesItAsItIs()
    {
        using var layer = new RoutedMoE(Small);
        using var hidden = randn(1, 2, 3);
        layer.eval();

        CaseExporter.Write(Target, layer, hidden, new(), "eval");

        Assert.Equal("eval", EditableCase.Read(Target).About["mode"]!.GetValue<string>());
        Assert.False(layer.training);
        Assert.False(hidden.requires_grad);
        Assert.All(layer.parameters(), parameter => Assert.True(parameter.grad is null));
    }

    [Fact]
    public void Write_TheSameLayer_GivesTheSameBytes()
    {
        new ExampleCase { Seed = 5 }.Write(Target);
        byte[] first = File.ReadAllBytes(Target);
        new ExampleCase { Seed = 5 }.Write(Target);

        Assert.Equal(first, File.ReadAllBytes(Target));
        new ExampleCase { Seed = 6 }.Write(Target);
        Assert.NotEqual(first, File.ReadAllBytes(Target));
    }

    [Fact]
    public void Write_WhatACaseCannotHold_IsRefused()
    {
        using var layer = new RoutedMoE(Small);
        using var half = new RoutedMoE(Small);
        half.to(ScalarType.BFloat16);
        using var hidden = randn(1, 2, 3);
        var load = layer.forward(hidden).Statistics.Load;

        Refused("The hidden states are Float32 [2, 3]; expected Float32 [batch, sequence, hidden]", () => CaseExporter.Write(Target, layer, hidden[0], new(), "x"));
        Refused("The hidden states are BFloat16 [1, 2, 3]; expected Float32", () => CaseExporter.Write(Target, layer, hidden.to(ScalarType.BFloat16), new(), "x"));
        Refused("is BFloat16; a case holds Float32", () => CaseExporter.Write(Target, half, hidden, new(), "x"));
        Refused("The call has a StepLoad, which a case cannot hold", () => CaseExporter.Write(Target, layer, hidden, new() { StepLoad = load }, "x"));
        Refused("The token mask is", () => CaseExporter.WriteRouter(Target, layer, hidden, new() { TokenMask = ones(2, 1, ScalarType.Bool) }, "x"));
        Assert.False(File.Exists(Target));
    }

    public void Dispose() => _folder.Dispose();

    private static void Refused(string message, Action write) => Assert.Contains(message, Assert.Throws<ArgumentException>(write).Message, StringComparison.Ordinal);
}
