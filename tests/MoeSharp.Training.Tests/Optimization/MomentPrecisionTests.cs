using MoeSharp.Checkpoints;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

/// <summary>bfloat16 moments, and bfloat16 parameters with a float32 master copy.</summary>
public sealed class MomentPrecisionTests
{
    private static readonly AdamWOptions Adam = new(0.9, 0.95, 1e-8, 0.1);

    [Fact]
    public void Step_BFloat16Parameter_IsTheRoundedFloat32One()
    {
        using var scope = NewDisposeScope();
        using var rounded = new Parameter(randn([3, 37], generator: new Generator(1)).to(ScalarType.BFloat16));
        using var plain = new Parameter(rounded.detach().to(ScalarType.Float32));
        using var optimizer = new AdamW([rounded, plain], Adam);

        for (int step = 0; step < 20; step++)
        {
            rounded.grad = randn([3, 37], generator: new Generator((ulong)step)).to(ScalarType.BFloat16);
            plain.grad = rounded.grad.to(ScalarType.Float32);
            optimizer.Step(1e-3);      // most steps are smaller than a bfloat16 weight could show
        }

        Assert.Equal(plain.bytes.ToArray(), optimizer.Slots[0].Master!.bytes.ToArray());
        Assert.Equal(plain.to(ScalarType.BFloat16).bytes.ToArray(), rounded.bytes.ToArray());
    }

    [Fact]
    public void Train_BFloat16Moments_LearnsAsFloat32OnesDoAndKeepsHalfTheBytes()
    {
        var options = TinyRun.Options with { Steps = 40, EvaluateEvery = 0, CheckpointEvery = 0 };
        using var full = new TinyRun();
        using var half = new TinyRun();

        double expected = full.Train(options).Loss, actual = half.Train(options with { Moments = MomentPrecision.BFloat16 }).Loss;

        Assert.NotEqual(expected, actual);
        Assert.Equal(expected, actual, 0.15);
        Assert.InRange(MomentBytes(half) / MomentBytes(full), 0.45, 0.55);
    }

    [Fact]
    public void Resume_WithOtherMoments_SaysWhatTheRunHas()
    {
        using var run = new TinyRun();
        run.StopAfter(2, TinyRun.Options with { Moments = MomentPrecision.BFloat16 });
        using var other = new TinyRun();
        other.StopAfter(2);

        Assert.Equal(6, run.Train(TinyRun.Options, isResumed: true).Steps);      // to float32: without loss
        var error = Assert.Throws<CheckpointException>(() => other.Train(TinyRun.Options with { Moments = MomentPrecision.BFloat16 }, isResumed: true));

        Assert.EndsWith("is F32; expected BFloat16. Resume with the moments that the run began with.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_BetasThatBFloat16CannotFollow_AreRefused()
    {
        var options = TinyRun.Options with { Beta1 = 0.9999, Beta2 = 0.999, Moments = MomentPrecision.BFloat16 };

        string message = Assert.Throws<ArgumentException>(options.Validate).Message;

        Assert.Contains("Beta1 is 0.9999 with bfloat16 moments, which cannot decay that slowly; set it to 0.9921875 or less, or Moments to float32.", message, StringComparison.Ordinal);
        Assert.Contains("Beta2 is 0.999 with bfloat16 moments, which cannot decay that slowly; set it to 0.9921875 or less, or Moments to float32.", message, StringComparison.Ordinal);
        (options with { Moments = MomentPrecision.Float32 }).Validate();
        (options with { Beta1 = 0.9921875, Beta2 = 0.99 }).Validate();
    }

    private static double MomentBytes(TinyRun run)
    {
        using var file = SafetensorsFile.Open(Directory.EnumerateFiles(run.Folder, "optimizer.safetensors", SearchOption.AllDirectories).Single());
        return file.Tensors.Where(tensor => !tensor.Key.StartsWith("steps.", StringComparison.Ordinal)).Sum(tensor => file.Bytes(tensor.Key).Length);
    }
}
