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
    public void Of_AfterAChangeOfOne_IsAnotherNumber_TheSameOfBothWays(string how, Action<Tensor> change)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor[] values = [zeros(4, 5), zeros(4, 5), zeros(4, 5)];
        foreach (var changed in values)
        {
            long? before = ChangeCount.Of(values[0], values[1], values[2]);
            Assert.NotNull(before);

            change(changed);

            long? after = ChangeCount.Of(values[0], values[1], values[2]);
            Assert.True(after > before, how);
            Assert.Equal(ChangeCount.ByScript(values[0], values[1], values[2]), after);
        }
    }

    [Fact]
    public void Of_ReadTwice_IsTheSameNumber()
    {
        using var values = rand(3).requires_grad_();

        Assert.Equal(ChangeCount.Of(values, values, values), ChangeCount.Of(values, values, values));
        Assert.Equal(ChangeCount.ByScript(values, values, values), ChangeCount.Of(values, values, values));
    }

    [Fact]
    public void Of_ATensorOfInferenceMode_IsNull_WhereLibtorchWouldThrow()
    {
        using var scope = NewDisposeScope();
        var counted = zeros(4);
        using var mode = inference_mode();
        var values = zeros(4);

        foreach (Tensor[] three in (Tensor[][])[[values, counted, counted], [counted, values, counted], [counted, counted, values]])
        {
            Assert.Null(ChangeCount.Of(three[0], three[1], three[2]));
            Assert.Null(ChangeCount.ByScript(three[0], three[1], three[2]));
        }
    }
}
