using System.Diagnostics;
using System.Runtime.InteropServices;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary>
/// A layer of bfloat16 experts from a warm file into the form of the kernels, with all threads: into fresh memory, which the system fills with
/// zeros first, and into memory that is there, when a layer is loaded again. Beside them, in the same round, the machine's plain read and copy.
/// </summary>
internal sealed class ExpertLoadBenchmark(int rounds)
{
    private const int HiddenSize = 1024, Width = 3584, Experts = 16;

    private const string Config = """
        {"model_type": "mixtral", "hidden_size": 1024, "num_hidden_layers": 1, "num_attention_heads": 8, "vocab_size": 32, "num_local_experts": 16, "num_experts_per_tok": 2, "intermediate_size": 3584}
        """;

    /// <summary>Measures the load in each precision.</summary>
    public IEnumerable<ExpertLoadResult> Run(CancellationToken stop)
    {
        string folder = Directory.CreateTempSubdirectory("moesharp-bench-").FullName;
        try
        {
            WriteModel(folder);
            using var checkpoint = MoeCheckpoint.Open(folder);
            using var read = new ReadLoop();
            using var copy = new CopyLoop();
            foreach (var precision in Enum.GetValues<ExpertPrecision>()) yield return Measure(checkpoint, precision, read, copy, stop);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private ExpertLoadResult Measure(MoeCheckpoint checkpoint, ExpertPrecision precision, ReadLoop read, CopyLoop copy, CancellationToken stop)
    {
        const double Bytes = 3.0 * HiddenSize * Width * Experts * sizeof(ushort);
        using var kept = checkpoint.Load(0, precision, cancellationToken: stop);        // the file is warm from here on
        var stored = checkpoint.Layer(0);
        double moved = Bytes * (precision == ExpertPrecision.BFloat16 ? 2 : 3);     // read, and written in one or two times the bytes
        var (fresh, again) = (new Speeds(rounds), new Speeds(rounds));
        double[] copyShares = new double[rounds];
        for (int round = 0; round < rounds; round++)
        {
            stop.ThrowIfCancellationRequested();
            double limit = Better(() => read.Measure(WorkerPool.Shared)), copyLimit = Better(() => copy.Measure(WorkerPool.Shared));
            long start = Stopwatch.GetTimestamp();
            var layer = checkpoint.Load(0, precision, cancellationToken: stop);
            fresh.Add(round, Bytes / Stopwatch.GetElapsedTime(start).TotalSeconds, limit);
            layer.Dispose();

            double speed = Better(() =>
            {
                long begin = Stopwatch.GetTimestamp();
                new KernelLayerLoader(stored, kept).Load(progress: null, stop);
                return Bytes / Stopwatch.GetElapsedTime(begin).TotalSeconds;
            });
            again.Add(round, speed, limit);
            copyShares[round] = moved / Bytes * speed / copyLimit;
        }

        return new ExpertLoadResult(precision == ExpertPrecision.BFloat16 ? "bf16" : "fp32", (long)Bytes, WorkerPool.Shared.Threads, fresh.Gigabytes, fresh.Share, again.Gigabytes, again.Share, PairedTimes.MedianOf(copyShares));
    }

    /// <summary>The better of two in a row: of limits and of what is held against them alike.</summary>
    private static double Better(Func<double> measure) => Math.Max(measure(), measure());

    private sealed class Speeds(int rounds)
    {
        private readonly double[] _speeds = new double[rounds], _shares = new double[rounds];

        public double Gigabytes => PairedTimes.MedianOf(_speeds) / 1e9;

        public double Share => PairedTimes.MedianOf(_shares);

        public void Add(int round, double speed, double limit) => (_speeds[round], _shares[round]) = (speed, speed / limit);
    }

    private static void WriteModel(string folder)
    {
        var random = new Random(7);
        ushort[] weights = new ushort[HiddenSize * Width];
        random.NextBytes(MemoryMarshal.AsBytes(weights.AsSpan()));
        for (int i = 0; i < weights.Length; i++) weights[i] = (ushort)(weights[i] & 0x83ff | 0x3c00);       // small numbers of either sign

        TensorToWrite Matrix(string name, long rows, long columns) => new($"model.layers.0.block_sparse_moe.{name}.weight", TensorType.BF16, [rows, columns], stream => stream.Write(MemoryMarshal.AsBytes(weights.AsSpan(0, (int)(rows * columns)))));
        var experts = Enumerable.Range(0, Experts).SelectMany(expert => (TensorToWrite[])
        [
            Matrix($"experts.{expert}.w1", Width, HiddenSize), Matrix($"experts.{expert}.w3", Width, HiddenSize), Matrix($"experts.{expert}.w2", HiddenSize, Width),
        ]);
        File.WriteAllText(Path.Combine(folder, ModelConfig.FileName), Config);
        string file = Path.Combine(folder, ModelFolder.SingleFileName);
        SafetensorsWriter.Write(file, [Matrix("gate", Experts, HiddenSize), .. experts]);
        using var written = File.OpenWrite(file);
        written.Flush(flushToDisk: true);       // or the system does so while we measure
    }
}

/// <summary>One precision.</summary>
/// <param name="Precision">The type that the weights are packed in: bf16 or fp32.</param>
/// <param name="Bytes">The bytes of the file's experts.</param>
/// <param name="Threads">The threads that loaded.</param>
/// <param name="FreshGbs">Gigabytes of the file loaded per second into fresh memory, the median of the rounds.</param>
/// <param name="FreshReadShare">The median over rounds of that speed over the plain read's.</param>
/// <param name="AgainGbs">Gigabytes of the file loaded per second into memory that was there.</param>
/// <param name="AgainReadShare">The median over rounds of that speed over the plain read's.</param>
/// <param name="AgainCopyShare">The median over rounds of the bytes that this reads and writes per second, over those of a plain copy.</param>
internal sealed record ExpertLoadResult(string Precision, long Bytes, int Threads, double FreshGbs, double FreshReadShare, double AgainGbs, double AgainReadShare, double AgainCopyShare);
