using System.CommandLine;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary><c>moesharp inspect</c>: what a model in a folder, or a safetensors file, is.</summary>
internal static class InspectCommand
{
    public static ToolCommand Create(Surroundings surroundings)
    {
        var path = new Argument<string>("path") { HelpName = "PATH", Description = "a folder with a config.json and weights or a GGUF file, of any known family, or a safetensors file" };
        var tensors = ToolOption.Flag("--tensors", "list every tensor instead: name, type, shape, bytes, file, and what it is for");
        var layer = ToolOption.Of("--layer", "N", ValueKind.WholeNumberFrom(0), "show this layer of a model instead: its options, and its tensors by what they are for");
        var json = ToolOption.Flag("--json", "print the same as one JSON object");
        var command = new ToolCommand("inspect", "Show what a model or a file of tensors is, by its config and headers.")
        {
            Note = "Active parameters are all but those of experts that a token does not choose. Quantized weights count decoded, their scales not; tied embeddings count once. "
                + "Of the data only scales are read, where all have 64 MB or less. Exit codes: 0 in order, also with warnings, 1 damaged or contradictory.",
            Examples = ["moesharp inspect Qwen3-30B-A3B", "moesharp inspect DeepSeek-V3 --layer 3", "moesharp inspect model-00001-of-00163.safetensors", "moesharp inspect my-model --tensors --json"],
        };
        command.Add(path);
        command.Add("Selection", tensors, layer);
        command.Add("Output", json);
        command.Does(parsed =>
        {
            int? wanted = parsed.TryGet(layer, out int index) ? index : null;
            bool isListing = parsed.GetValue(tensors);
            if (isListing && wanted is not null) throw new UsageException("--layer shows the tensors of its layer; leave out --tensors.");

            var view = new InspectView(surroundings, parsed.GetValue(json));
            Run(view, parsed.GetRequiredValue(path), isListing, wanted);
            return ExitCode.Success;
        });
        return command;
    }

    private static void Run(InspectView view, string path, bool isListing, int? layer)
    {
        using var pause = CollectionPause.Start();
        if (File.Exists(path) && !MoeCheckpoint.IsGguf(path))
        {
            if (layer is not null) throw new UsageException("--layer shows a layer of a model, which is a folder or a GGUF file; a safetensors file by itself has none.");

            view.Write(TensorFileReport.Read(path), isListing);
            return;
        }

        if (!Path.Exists(path)) throw new UsageException($"There is no file or folder '{path}'.");

        var report = ModelReport.Read(path);
        if (layer is { } index) view.Write(report, Layer(report, index));
        else view.Write(report, isListing);
    }

    private static LayerReport Layer(ModelReport report, int index) => index < report.Model.Layers.Count
        ? LayerReport.Of(report, index)
        : throw new UsageException($"--layer is '{index}', but the layers of the model are 0 to {report.Model.Layers.Count - 1}.");
}
