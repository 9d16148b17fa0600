using System.Runtime.InteropServices;
using MoeSharp;
using MoeSharp.Checkpoints;

// Exit code 0: every step below gave what it should, compiled ahead of time.
string folder = Directory.CreateTempSubdirectory("moesharp-aot-").FullName;
try
{
    var options = TinyModel();
    Require(TopKAboveExpertsIsRefused(), "RouterOptions.Validate accepts a top-k above the number of experts");
    Require(LayerOptionsAreReadBack(), "written layer options are read back differently");
    Require(ConfigIsReadBack(options, Path.Combine(folder, "config.json")), "a written config is read back differently");
    Require(WeightsAreReadBack(folder), "written tensors are read back differently");
    Require(QuantizedWeightsAreDecoded(), "quantized weights are decoded to other numbers");
    Require(GgufIsRead(Path.Combine(folder, "model.gguf")), "a GGUF file is read differently");
    Require(DamageIsRefused(folder), "a damaged file opens");
    foreach (var kernel in KernelCatalog.RunnableTiles) Require(TileIsExact(kernel), $"{kernel.Name} does not multiply whole numbers exactly");
    foreach (var precision in Enum.GetValues<ExpertPrecision>()) Require(ExpertLayerIsExact(precision), $"ExpertLayer does not compute whole numbers exactly in {precision}");
    Require(MoeLayerIsExact(), "MoeLayer does not route and compute whole numbers exactly");
    Require(CheckpointLoads(), "A layer of a checkpoint is not what was written");
    Require(DisassemblyEndsInReturn(), "assembled code cannot be listed");
    string kernels = string.Join(", ", KernelCatalog.RunnableTiles.Select(kernel => kernel.Name));
    Require(ForbiddenCodeIsLeftToTheTwin(), "a system that forbids code at run time is not survived"); // last: there is no way back
    Console.WriteLine($"ok; kernels: {kernels}");
    return 0;
}
catch (InvalidOperationException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
finally
{
    Directory.Delete(folder, recursive: true);
}

static DecoderOptions TinyModel()
{
    var moe = new MoeOptions
    {
        HiddenSize = 32,
        MaskScope = MaskScope.Losses,
        Router = new RouterOptions { ExpertCount = 8, TopK = 2, Renormalize = Renormalization.Always, HasCorrectionBias = true },
        Experts = new ExpertOptions { IntermediateSize = 16 },
    };
    return new DecoderOptions
    {
        VocabularySize = 96,
        HiddenSize = 32,
        MaxPositions = 128,
        Attention = new AttentionOptions { HeadCount = 4, KeyValueHeadCount = 2, HeadSize = 8 },
        Layers = [new MlpOptions.Dense(64), new MlpOptions.Sparse(moe)],
    };
}

static bool TopKAboveExpertsIsRefused()
{
    try
    {
        new RouterOptions { ExpertCount = 8, TopK = 9 }.Validate();
        return false;
    }
    catch (ArgumentException e)
    {
        return e.Message.Contains("TopK is 9", StringComparison.Ordinal);
    }
}

static bool LayerOptionsAreReadBack()
{
    var options = new MoeOptions
    {
        HiddenSize = 32,
        Router = new RouterOptions { ExpertCount = 8, TopK = 2, Select = new Selection.Sinkhorn(1e-3), Weights = WeightSource.SoftmaxOfSelected },
        Experts = new ExpertOptions { IntermediateSize = 16, Activation = ExpertActivation.GptOss },
        Dispatch = new DispatchOptions { Capacity = new CapacityOptions { Factor = 1.25, Order = CapacityOrder.ChoiceFirst } },
        ZLossCoefficient = 1e-3,
    };
    return MoeOptionsJson.Read(MoeOptionsJson.Write(options), "options") == options;
}

static bool ConfigIsReadBack(DecoderOptions options, string path)
{
    AtomicFile.WriteAllText(path, Qwen3MoeConfig.Write(options));
    var read = Qwen3MoeConfig.Read(path);
    return read.Layers.SequenceEqual(options.Layers) && read with { Layers = options.Layers } == options;
}

static bool WeightsAreReadBack(string folder)
{
    float[] values = [1, 2, 3, 4, 5, 6];
    var router = new TensorToWrite("model.layers.1.mlp.gate.weight", TensorType.F32, [2, 3], stream => stream.Write(MemoryMarshal.AsBytes(values.AsSpan())));
    SafetensorsWriter.Write(Path.Combine(folder, ModelFolder.SingleFileName), [router]);

    using var model = ModelFolder.Open(folder);
    return model.Files[0].Metadata["format"] == "pt" && MemoryMarshal.Cast<byte, float>(model.Bytes(router.Name)).SequenceEqual(values);
}

// bytes 0x21, 0xf7 are 0.5, 1, 6 and -6, times 2^(129 - 127); and GGUF's own form of a block of numbers
static bool QuantizedWeightsAreDecoded()
{
    byte[] codes = new byte[16], block = new byte[34];
    (codes[0], codes[1]) = (0x21, 0xf7);
    (block[1], block[2], block[33]) = (0x3c, 3, 0xff);      // a scale of 1, first 3 and last -1
    var tensors = new TensorsInMemory(
        TensorData.FromMemory("experts_blocks", TensorType.U8, [1, 1, 16], codes),
        TensorData.FromMemory("experts_scales", TensorType.U8, [1, 1], new byte[] { 129 }));

    float[] weights = new float[32], numbers = new float[32];
    QuantizedWeights.Find(tensors).Single().Matrices[0].Decode(0, 1, weights);
    QuantizedWeights.FromGguf(TensorData.FromMemory("blocks", TensorType.U8, [1, 34], block), GgufType.Q8_0, "memory").Matrices[0].Decode(0, 1, numbers);
    return weights.SequenceEqual([2f, 4, 24, -24, .. new float[28]]) && (numbers[0], numbers[31]) == (3f, -1f);
}

// a value and a tensor: a block of Q8_0 with a scale of 1, whose first number is 3
static bool GgufIsRead(string path)
{
    using (var writer = new BinaryWriter(File.Create(path)))
    {
        writer.Write([.. "GGUF"u8, 3, 0, 0, 0, .. BitConverter.GetBytes(1L), .. BitConverter.GetBytes(1L)]);
        writer.Write([.. BitConverter.GetBytes(1L), .. "k"u8, .. BitConverter.GetBytes(4), .. BitConverter.GetBytes(7)]);
        writer.Write([.. BitConverter.GetBytes(1L), .. "t"u8, .. BitConverter.GetBytes(2), .. BitConverter.GetBytes(32L), .. BitConverter.GetBytes(1L), .. BitConverter.GetBytes(8), .. new byte[8 + 14]]); // type, offset 0, and what fills up to byte 96
        writer.Write([0, 0x3c, 3, .. new byte[31]]);
    }

    using var file = GgufFile.Open(path);
    float[] numbers = new float[32];
    file.Weight("t").Matrices[0].Decode(0, 1, numbers);
    return file.Value("k").GetInteger() == 7 && numbers[0] == 3;
}

static bool DamageIsRefused(string folder)
{
    string path = Path.Combine(folder, ModelFolder.SingleFileName);
    using (var stream = File.OpenWrite(path)) stream.SetLength(stream.Length - 1);
    try
    {
        ModelFolder.Open(folder).Dispose();
        return false;
    }
    catch (CheckpointException e)
    {
        return e.Message.Contains("incomplete", StringComparison.Ordinal);
    }
}

// A is all 3 and B all 2: every sum is 6 per value
static unsafe bool TileIsExact(TileKernel kernel)
{
    const int Depth = 7;
    var (lane3, lane2) = kernel.Type == TileType.Float32 ? (0x40400000u, 0x40000000u) : (0x40404040u, 0x40004000u);
    uint[] a = new uint[kernel.MaxRows * Depth], b = new uint[Depth * TileKernel.Columns];
    float[] c = new float[kernel.MaxRows * TileKernel.Columns];
    a.AsSpan().Fill(lane3);
    b.AsSpan().Fill(lane2);
    fixed (uint* pointerA = a, pointerB = b)
    fixed (float* pointerC = c)
    {
        byte** rows = stackalloc byte*[kernel.MaxRows];
        new TileInputs((byte*)pointerA, Depth * sizeof(uint), kernel.MaxRows).Place(0, kernel.MaxRows, rows);
        var arguments = new TileArguments { Rows = rows, B = (byte*)pointerB, C = pointerC, Depth = Depth };
        kernel.Multiply(&arguments, kernel.MaxRows, TilePrefetch.Own);
    }

    return c.All(value => value == (kernel.Type == TileType.Float32 ? 6 * Depth : 12 * Depth));
}

// all weights and tokens are 1: both experts give 16 · 32 · 32, and each has half the weight
static bool ExpertLayerIsExact(ExpertPrecision precision)
{
    const int Tokens = 3, Hidden = 32, Intermediate = 16;
    var options = new MoeOptions
    {
        HiddenSize = Hidden,
        Router = new RouterOptions { ExpertCount = 2, TopK = 2 },
        Experts = new ExpertOptions { IntermediateSize = Intermediate, Activation = ExpertActivation.Relu },
    };
    float[] ones = new float[Hidden * Intermediate], tokens = new float[Tokens * Hidden], sums = new float[Tokens * Hidden];
    ushort[] bits = new ushort[ones.Length];
    ones.AsSpan().Fill(1);
    tokens.AsSpan().Fill(1);
    bits.AsSpan().Fill(0x3f80);
    using var layer = new ExpertLayer(options, precision);
    layer.Load(0, ones, ones, ones);
    layer.Load(1, bits, bits, bits);

    layer.Forward(tokens, new RoutingKernel(options).Route(new RoutingInput { Logits = new float[Tokens * 2], Sequences = 1, SequenceLength = Tokens }), sums);
    return sums.All(sum => sum == Intermediate * Hidden * Hidden);
}

// the token of ones goes to the second expert, whose gate is the larger, with all the weight
static bool MoeLayerIsExact()
{
    const int Hidden = 32, Intermediate = 16;
    var options = new MoeOptions
    {
        HiddenSize = Hidden,
        Router = new RouterOptions { ExpertCount = 2, TopK = 1, Renormalize = Renormalization.Always, HasLogitBias = true },
        Experts = new ExpertOptions { IntermediateSize = Intermediate, Activation = ExpertActivation.Relu },
    };
    float[] ones = new float[Hidden * Intermediate], twos = new float[Hidden * Intermediate], token = new float[Hidden], logits = new float[2], output = new float[Hidden];
    ones.AsSpan().Fill(1);
    twos.AsSpan().Fill(2);
    token.AsSpan().Fill(1);
    using var layer = new MoeLayer(options);
    layer.LoadRouter([.. ones[..Hidden], .. twos[..Hidden]]);
    layer.LoadLogitBias([1, -1]);
    layer.Experts.Load(0, ones, ones, ones);
    layer.Experts.Load(1, ones, ones, twos);

    layer.Route(token, logits);
    var plan = layer.Forward(token, output);
    return logits.SequenceEqual([Hidden + 1f, 2 * Hidden - 1]) && plan.Experts[0] == 1 && output.All(value => value == 2 * Intermediate * Hidden * Hidden);
}

// families are found by reflection, which must survive trimming
static bool CheckpointLoads()
{
    const int Hidden = 8, Intermediate = 4;
    var folder = Directory.CreateTempSubdirectory("moesharp-aot-");
    try
    {
        TensorToWrite Ones(string name, params long[] shape) => new($"model.layers.0.block_sparse_moe.{name}.weight", TensorType.F32, shape, stream =>
        {
            for (long i = 0; i < shape[0] * shape[1]; i++) stream.Write(BitConverter.GetBytes(1f));
        });
        var experts = Enumerable.Range(0, 2).SelectMany(e => (TensorToWrite[])[Ones($"experts.{e}.w1", Intermediate, Hidden), Ones($"experts.{e}.w3", Intermediate, Hidden), Ones($"experts.{e}.w2", Hidden, Intermediate)]);
        SafetensorsWriter.Write(Path.Combine(folder.FullName, ModelFolder.SingleFileName), [Ones("gate", 2, Hidden), .. experts]);
        File.WriteAllText(Path.Combine(folder.FullName, ModelConfig.FileName), """
            {"model_type": "mixtral", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 16, "num_local_experts": 2, "num_experts_per_tok": 2, "intermediate_size": 4}
            """);

        using var checkpoint = MoeCheckpoint.Open(folder.FullName);
        using var layer = checkpoint.Load(0);
        float[] token = new float[Hidden], output = new float[Hidden];
        token.AsSpan().Fill(1);
        layer.Forward(token, output);
        float expected = Intermediate * Hidden * (Hidden / (1 + MathF.Exp(-Hidden)));
        return ModelConfig.Families.Count >= 25 && output.All(value => Math.Abs(value - expected) < 1e-3f * expected);
    }
    finally
    {
        folder.Delete(recursive: true);
    }
}

static bool DisassemblyEndsInReturn() => Disassembly.Lines(TileEmitter.Emit(14, TilePrefetch.Next, CallConvention.Windows)).Last().EndsWith(" ret", StringComparison.Ordinal);

// Linux can promise for the rest of the process that no memory becomes executable; a program compiled ahead of time can live with that
static bool ForbiddenCodeIsLeftToTheTwin()
{
    const int SetMemoryDenyWriteExecute = 65, RefuseExecutableGain = 1;
    if (!OperatingSystem.IsLinux() || Native.prctl(SetMemoryDenyWriteExecute, RefuseExecutableGain, 0, 0, 0) != 0) return true;

    var kernel = new BFloat16Avx512();
    return !kernel.IsSupported && kernel.Obstacle is not null && TileIsExact(kernel);
}

static void Require(bool holds, string fault)
{
    if (!holds) throw new InvalidOperationException(fault);
}

internal sealed class TensorsInMemory(params TensorData[] tensors) : ITensorSource
{
    public string Path => "memory";

    public IReadOnlyDictionary<string, TensorInfo> Tensors => tensors.ToDictionary(tensor => tensor.Info.Name, tensor => tensor.Info);

    public TensorData Data(string name) => tensors.Single(tensor => tensor.Info.Name == name);
}

internal static partial class Native
{
    [LibraryImport("libc")]
    public static partial int prctl(int option, nuint first, nuint second, nuint third, nuint fourth);
}
