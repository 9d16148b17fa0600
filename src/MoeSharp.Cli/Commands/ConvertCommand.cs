using System.CommandLine;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary><c>moesharp convert SOURCE TARGET</c>: a checkpoint in another form.</summary>
internal static class ConvertCommand
{
    public static ToolCommand Create(Surroundings surroundings)
    {
        var source = new Argument<string>("source") { HelpName = "SOURCE", Description = "folder with config.json and the weights of a model of any known family; a GGUF file, or the first of its shards; a folder as Mistral or OpenAI publish it" };
        var target = new Argument<string>("target") { HelpName = "TARGET", Description = "folder to write; new, empty, or with a conversion that was stopped" };
        var layout = ToolOption.Of("--layout", "NAME", ValueKind.Choice<ExpertLayout>(), "how experts are stored: published (as released), fused (stacked, as transformers 5 holds them), keep", "keep");
        var type = ToolOption.Of("--dtype", "NAME", ValueKind.Choice<PlainType>(), "type of all float tensors: f32, bf16, f16; biases that only select experts are never rounded", "each tensor's own");
        var dequantize = ToolOption.Flag("--dequantize", "store quantized weights as plain numbers, of the config's type unless --dtype names one; --dtype does it too, and --layout where it moves them");
        var shardSize = ToolOption.Of("--shard-size", "SIZE", ValueKind.Bytes, "the most bytes of a file, such as 5GB or 500MB", "5GB");
        var layers = ToolOption.Of("--layer", "N,N", ValueKind.WholeNumbers, "convert the MoE parameters of these layers alone; the config then names them", "the whole model");
        var prove = ToolOption.Flag("--prove", $"read the target again, compare every tensor with the source, run random tokens through the MoE layers of both, and write TARGET/{ConversionProof.FileName}");
        var json = JsonOption.Create();
        var command = new ToolCommand("convert", "Write a model's weights in another form: experts stacked or one by one, another type, dequantized.")
        {
            Note = "Weights stream: memory holds no more than an expert. Files appear whole; a conversion that was stopped continues when the same command runs again. "
                + "Exit codes: 0 done, and proved with --prove; 1 failed, or the target differs; 2 called wrongly; 130 stopped.",
            Examples = ["moesharp convert Mixtral-8x7B mixtral-fused --layout fused --prove", "moesharp convert DeepSeek-V3 deepseek-bf16 --dequantize --shard-size 10GB", "moesharp convert Qwen3-30B-A3B layer-3 --layer 3 --dtype f32", "moesharp convert Qwen3-30B-A3B-Q4_K_M.gguf qwen3-bf16 --dtype bf16 --prove"],
        };
        command.Add(source);
        command.Add(target);
        command.Add("Form", layout, type, dequantize, layers, shardSize);
        command.Add("Output", prove, json);
        command.Does(parsed =>
        {
            var options = new ConversionOptions
            {
                Layout = parsed.GetValue(layout),
                Type = parsed.TryGet(type, out var plain) ? (TensorType)plain : null,
                Dequantizes = parsed.GetValue(dequantize),
                Layers = parsed.TryGet(layers, out var some) ? some : null,
                MaxShardBytes = parsed.TryGet(shardSize, out long size) ? size : new ConversionOptions().MaxShardBytes,
            };
            return Run(surroundings, parsed.GetRequiredValue(source), parsed.GetRequiredValue(target), options, parsed.GetValue(prove), JsonOption.Read(parsed, json));
        });
        return command;
    }

    private static int Run(Surroundings surroundings, string source, string target, ConversionOptions options, bool proves, (bool IsAsked, string? File) json)
    {
        using var signals = new StopSignals(() => { });
        using var checkpoint = MoeCheckpoint.Open(source);
        foreach (string warning in checkpoint.Warnings) surroundings.Error.WriteLine(warning);
        if (options.Layers?.Select(checkpoint.NoMoeLayer).FirstOrDefault(fault => fault is not null) is { } fault) throw new UsageException(fault);

        var view = new ConversionView(surroundings, isQuiet: json is { IsAsked: true, File: null });
        // a proof that was stopped, or not asked for at first, needs no second conversion
        var summary = Checked(() => (proves ? CheckpointConverter.FindFinished(checkpoint, target, options) : null)
            ?? view.During("converting", progress => CheckpointConverter.Convert(checkpoint, target, options, progress, signals.Token)));
        view.Write(summary);
        var proof = proves ? view.During("proving", progress => ConversionProof.Run(checkpoint, target, progress, signals.Token)) : null;
        if (proof is not null) view.Write(proof, proof.Write());

        if (json.IsAsked) JsonOption.Write(surroundings, json.File, new(1, summary, proof), CliJsonContext.Readable.ConversionReport);
        return proof is { Passed: false } ? ExitCode.Failure : ExitCode.Success;
    }

    // of the options only what the command line let through
    private static ConversionSummary Checked(Func<ConversionSummary> convert)
    {
        try
        {
            return convert();
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message, error);
        }
    }

    /// <summary>The types of plain numbers, as the command line names them.</summary>
    private enum PlainType
    {
        F32 = TensorType.F32,
        BF16 = TensorType.BF16,
        F16 = TensorType.F16,
    }
}

/// <summary>The JSON of <c>moesharp convert --json</c>.</summary>
internal sealed record ConversionReport(int Version, ConversionSummary Conversion, ConversionProof? Proof);
