using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using MoeSharp.Cli;
using static TorchSharp.torch;
using TensorElementType = Microsoft.ML.OnnxRuntime.Tensors.TensorElementType;

namespace MoeSharp.Comparison;

/// <summary>
/// ONNX Runtime's operators com.microsoft.MoE (float32) and com.microsoft.QMoE (integer weights) on the CPU, forward only. They route by
/// themselves, from logits that leave them no choice.
/// </summary>
internal sealed unsafe class OnnxRuntimeExperts : IExpertCompute, IDisposable
{
    // a softmax over these gives 1 / K for each of K chosen experts, and exactly zero for the others
    private const float Chosen = 0, NotChosen = -1e30f;

    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();
    private readonly IMoeWeights _weights;
    private readonly List<OrtValue> _values = [];       // the session reads them where they lie

    private OnnxRuntimeExperts(string name, LayerShape shape, IMoeWeights weights)
    {
        (Name, _weights) = (name, weights);
        using var options = new SessionOptions { IntraOpNumThreads = WorkerPool.Shared.Threads };
        if (Affinity(WorkerPool.Shared.Threads) is { } affinity) options.AddSessionConfigEntry("session.intra_op_thread_affinities", affinity);
        foreach (var (initializer, values) in weights.Initializers)
        {
            _values.Add(Value(values));
            options.AddInitializer(initializer, _values[^1]);
        }

        _session = Start(shape, weights, options);
    }

    /// <summary>The operators, each as an engine.</summary>
    public static IReadOnlyList<LayerEngine> Engines { get; } =
    [
        Engine("onnxruntime", null, layer => new Float32Weights(layer)),
        Engine("onnxruntime-qmoe-int4", Quantized("w4a32", bits: 4, tolerance: 0.2) with { Multiplies = ProductType.Fp32 }, layer => new QuantizedWeights(layer, bits: 4, integerProducts: false)),
        Engine("onnxruntime-qmoe-int4-int8", Quantized("w4a8", bits: 4, tolerance: 0.2), layer => new QuantizedWeights(layer, bits: 4, integerProducts: true)),
        Engine("onnxruntime-qmoe-int8", Quantized("w8a8", bits: 8, tolerance: 0.05), layer => new QuantizedWeights(layer, bits: 8, integerProducts: true)),
    ];

    public string Name { get; }

    public bool SkipsIdleExperts => true;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        var sums = empty_like(tokens);
        float[] logits = Logits(plan.Plan);
        using var router = OrtValue.CreateTensorValueFromMemory(logits, [plan.TokenCount, plan.Plan.ExpertCount]);
        using OrtValue input = Value(tokens), output = Value(sums);
        _session.Run(_run, [MoeModel.Tokens, MoeModel.Router], [input, router], [MoeModel.Sums], [output]);
        return sums;
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
        foreach (var value in _values) value.Dispose();
        _weights.Dispose();
    }

    // it asks for a file that is as long as the values, and does not read it for those that it has been given
    private static InferenceSession Start(LayerShape shape, IMoeWeights weights, SessionOptions options)
    {
        var folder = Directory.CreateTempSubdirectory("moesharp-");
        try
        {
            string model = Path.Combine(folder.FullName, "model.onnx");
            File.WriteAllBytes(model, MoeModel.Bytes(shape, weights));
            using (var values = File.Create(Path.Combine(folder.FullName, MoeModel.ValuesFile))) values.SetLength(weights.Initializers.Max(one => one.Values.numel() * one.Values.element_size()));
            return new InferenceSession(model, options);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static LayerEngine Engine(string name, LayerQuantization? quantization, Func<MeasuredLayer, IMoeWeights> weights) =>
        new(name, () => $"ONNX Runtime {OrtEnv.Instance().GetVersionString()}", layer => new OnnxRuntimeExperts(name, layer.Shape, weights(layer)))
        {
            Passes = [LayerPass.Forward],
            Types = [ProductType.Fp32],
            Quantization = quantization,
        };

    private static LayerQuantization Quantized(string dtype, int bits, double tolerance) => new(dtype, (bits / 8d) + ((double)sizeof(float) / QuantizedWeights.Block), tolerance);

    private static float[] Logits(RoutingPlan plan)
    {
        float[] logits = new float[plan.TokenCount * plan.ExpertCount];
        Array.Fill(logits, NotChosen);
        for (int pair = 0; pair < plan.Experts.Length; pair++) logits[(pair / plan.Width * plan.ExpertCount) + plan.Experts[pair]] = Chosen;
        return logits;
    }

    // its own threads after the caller's, processors counted from one; null where they are left to the system
    private static string? Affinity(int threads) => PinnedThreads.Processors is { Count: > 0 } processors && threads > 1
        ? string.Join(';', Enumerable.Range(1, threads - 1).Select(thread => processors[thread % processors.Count] + 1))
        : null;

    // the memory itself: the tensor must live as long as the value
    private static OrtValue Value(Tensor values)
    {
        using var first = values.view(-1).narrow(0, 0, 1);
        var start = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
        var type = values.dtype == ScalarType.Byte ? TensorElementType.UInt8 : TensorElementType.Float;
        return OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, type, values.shape, start, values.numel() * values.element_size());
    }
}
