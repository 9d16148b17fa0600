using System.CommandLine;

namespace MoeSharp.Cli;

/// <summary><c>moesharp plot-load</c>: the load of the experts over several runs, below each other.</summary>
internal static class PlotLoadCommand
{
    public static ToolCommand Create(Surroundings surroundings)
    {
        var runs = new Argument<string[]>("runs") { HelpName = "RUN...", Description = "folders of training runs", Arity = ArgumentArity.OneOrMore };
        var image = ToolOption.Of("--out", "FILE", ValueKind.Text, "the PNG to write");
        image.Required = true;
        var command = new ToolCommand("plot-load", "Plot the load of every expert over the steps of runs, one row of panels for each run.")
        {
            Note = "Rows are titled by the names of the folders. A run's own plot is in its folder already: expert-load.png.",
            Examples = ["moesharp plot-load runs/none runs/loss runs/bias --out load.png"],
        };
        command.Add(runs);
        command.Add("Output", image);
        command.Does(parsed =>
        {
            var file = parsed.GetRequiredValue(image);
            RunLoadPlot.Write(file, parsed.GetRequiredValue(runs));
            surroundings.Output.WriteLine($"plot written to {file}");
            return ExitCode.Success;
        });
        return command;
    }
}
