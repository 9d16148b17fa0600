using System.Globalization;

namespace MoeSharp.Cli;

/// <summary><c>moesharp bench load</c>: the decoders of quantized weights, and loads of experts into the form of the kernels.</summary>
internal static class BenchLoadCommand
{
    private const int Rows = 2048, RowStep = 256, Columns = 4096, Rounds = 7;

    public static ToolCommand Create(Surroundings surroundings)
    {
        var formats = ToolOption.Of("--format", "NAME,NAME", ValueKind.SomeOf(DecoderCase.All, format => format.Name), $"formats, of {string.Join(", ", DecoderCase.All.Select(format => format.Name))}", "all");
        var rows = ToolOption.Of("--rows", "N", ValueKind.WholeNumberFrom(RowStep), $"outputs of the weight, a multiple of {RowStep}", $"{Rows}");
        var rounds = ToolOption.Of("--rounds", "N", ValueKind.WholeNumberFrom(1), "rounds of each comparison", $"{Rounds}");
        var json = JsonOption.Create();
        var command = new ToolCommand("load", "Time the decoders of quantized weights, and loads of experts.")
        {
            Note = "Weights are decoded to float32 on one thread. Ways run in turn within every round. 'of read+write' is the time to read the codes and write as many floats, over the decoder's; 'speed-up' is that over an obvious loop "
                + "over plain arrays, or over the formula of each weight. Both are medians of the rounds' ratios. Experts are of bfloat16 and loaded on all threads; they come from a warm file (352 MB, in the folder for temporary files) "
                + "into fresh memory, and again into the same; 'of plain read' is their speed over that of reading memory from end to end in the same round, 'of a copy' what they read and write over what a plain copy does, each the better of two in a row. --format leaves them out.",
            Examples = ["moesharp bench load", "moesharp bench load --format fp8,mxfp4,int4 --json"],
        };
        command.Add("Measuring", formats, rows, rounds);
        command.Add("Output", json);
        command.Does(parsed =>
        {
            using var signals = new StopSignals(() => { });
            int height = parsed.TryGet(rows, out int given) ? given : Rows;
            if (height % RowStep != 0) throw new UsageException($"--rows is {height}; expected a multiple of {RowStep}, which every format divides.");

            var output = JsonOption.Read(parsed, json);
            int count = parsed.TryGet(rounds, out int asked) ? asked : Rounds;
            var benchmark = new DecoderBenchmark(height, Columns, count);
            bool isSome = parsed.TryGet(formats, out var some);
            var results = benchmark.Run(isSome ? some! : DecoderCase.All, signals.Token).ToArray();       // an option without a value is refused before
            ExpertLoadResult[] experts = isSome ? [] : [.. new ExpertLoadBenchmark(count).Run(signals.Token)];
            Write(surroundings, new(1, Machine.Describe(), results, experts), output);
            return ExitCode.Success;
        });
        return command;
    }

    private static void Write(Surroundings surroundings, DecoderBenchmarkReport report, (bool IsAsked, string? File) json)
    {
        if (!json.IsAsked || json.File is not null) WriteTable(surroundings, report);
        if (json.IsAsked) JsonOption.Write(surroundings, json.File, report, CliJsonContext.Readable.DecoderBenchmarkReport);
    }

    private static void WriteTable(Surroundings surroundings, DecoderBenchmarkReport report)
    {
        var table = new TableWriter("format", "packed", "GB/s of float32", "of read+write", "speed-up", "over") { Numbers = new HashSet<string> { "packed", "GB/s of float32", "of read+write", "speed-up" } };
        foreach (var result in report.Decoders)
        {
            table.Add([result.Format, Quantity.Bytes(result.PackedBytes), result.OutputGbs.ToString("0.00", CultureInfo.InvariantCulture),
                Quantity.Text($"{result.ReadWriteShare * 100:0} %"), Quantity.Text($"{result.Speedup:0.0}×"), result.Obvious]);
        }

        table.Write(surroundings);
        if (report.Experts.Count == 0) return;

        surroundings.Output.WriteLine();
        var loads = new TableWriter("experts", "of bfloat16", "threads", "fresh GB/s", "of plain read", "again GB/s", "of the read", "of a copy") { Numbers = new HashSet<string> { "of bfloat16", "threads", "fresh GB/s", "of plain read", "again GB/s", "of the read", "of a copy" } };
        foreach (var load in report.Experts)
        {
            loads.Add([$"packed in {load.Precision}", Quantity.Bytes(load.Bytes), Quantity.Text($"{load.Threads}"), load.FreshGbs.ToString("0.00", CultureInfo.InvariantCulture), Quantity.Text($"{load.FreshReadShare * 100:0} %"),
                load.AgainGbs.ToString("0.00", CultureInfo.InvariantCulture), Quantity.Text($"{load.AgainReadShare * 100:0} %"),
                Quantity.Text($"{load.AgainCopyShare * 100:0} %")]);
        }

        loads.Write(surroundings);
    }
}
