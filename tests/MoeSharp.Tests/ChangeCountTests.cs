using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>libtorch's count of a tensor's changes: by its own functions and by its interpreter.</summary>
public sealed class ChangeCountTests
{
    public static TheoryData<string, Action<Tensor>> Changes => new()
    {
        { "in place", values => values.add_(1) },
        { "one value", values => values[1, 2] = 7 },
        { "through a view", values => values.view(-1).narrow(0, 3, 2).zero_() },
        { "of a copy of the handle", values => values.alias().mul_(2) },
    };

    [Theory]
    [MemberData(nameof(Changes), DisableDiscoveryEnumeration = true)]
    public void Of_AfterAChange_IsAnotherNumber_TheSameOfBothWays(string how, Action<Tensor> change)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var values = zeros(4, 5);
        long? before = ChangeCount.Of(values);
        Assert.NotNull(before);

        change(values);

        Assert.True(ChangeCount.Of(values) > before, how);
        Assert.Equal(ChangeCount.ByScript(values), ChangeCount.Of(values));
    }

    [Fact]
    public void Of_ReadTwice_IsTheSameNumber()
    {
        using var values = rand(3).requires_grad_();

        Assert.Equal(ChangeCount.Of(values), ChangeCount.Of(values));
        Assert.Equal(ChangeCount.ByScript(values), ChangeCount.Of(values));
    }

    [Fact]
    public void Of_ATensorOfInferenceMode_IsNull_WhereLibtorchWouldThrow()
    {
        using var scope = NewDisposeScope();
        using var mode = inference_mode();
        var values = zeros(4);

        Assert.Null(ChangeCount.Of(values));
        Assert.Null(ChangeCount.ByScript(values));
    }
}
