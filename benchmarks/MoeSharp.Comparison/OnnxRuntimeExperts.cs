using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using MoeSharp.Cli;
using static TorchSharp.torch;
using TensorElementType = Microsoft.ML.OnnxRuntime.Tensors.TensorElementType;

namespace MoeSharp.Comparison;

/// <summary>
/// ONNX Runtime's operator com.microsoft.MoE on the CPU: float32, forward only. It routes by itself, from logits that leave it no choice.
/// </summary>
internal sealed unsafe class OnnxRuntimeExperts : IExpertCompute, IDisposable
{
    // a softmax over these gives 1 / K for each of K chosen experts, and exactly zero for the others
    private const float Chosen = 0, NotChosen = -1e30f;

    private static readonly string[] InputNames = [MoeModel.Tokens, MoeModel.Router, MoeModel.GateAndUp, MoeModel.Down];

    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();
    private readonly Tensor _gateAndUp;                     // [E, 2 H, D], gate and up row by row
    private readonly OrtValue _gateAndUpValue, _downValue;

    private OnnxRuntimeExperts(MeasuredLayer layer)
    {
        using var options = new SessionOptions { IntraOpNumThreads = WorkerPool.Shared.Threads };
        if (Affinity(WorkerPool.Shared.Threads) is { } affinity) options.AddSessionConfigEntry("session.intra_op_thread_affinities", affinity);
        _session = new InferenceSession(MoeModel.Bytes(layer.Shape), options);

        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _gateAndUp = stack([layer.Experts.Gate, layer.Experts.Up], 2).flatten(1, 2).DetachFromDisposeScope();
        (_gateAndUpValue, _downValue) = (Value(_gateAndUp), Value(layer.Experts.Down));
    }

    public static LayerEngine Engine { get; } = new("onnxruntime", () => $"ONNX Runtime {OrtEnv.Instance().GetVersionString()}", layer => new OnnxRuntimeExperts(layer))
    {
        Passes = [LayerPass.Forward],
        Types = [ProductType.Fp32],
    };

    public string Name => "onnxruntime";

    public bool SkipsIdleExperts => true;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        var sums = empty_like(tokens);
        float[] logits = Logits(plan.Plan);
        using var router = OrtValue.CreateTensorValueFromMemory(logits, [plan.TokenCount, plan.Plan.ExpertCount]);
        using OrtValue input = Value(tokens), output = Value(sums);
        _session.Run(_run, InputNames, [input, router, _gateAndUpValue, _downValue], [MoeModel.Sums], [output]);
        return sums;
    }

    public void Dispose()
    {
        _gateAndUpValue.Dispose();
        _downValue.Dispose();
        _gateAndUp.Dispose();
        _run.Dispose();
        _session.Dispose();
    }

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
        return OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Float, values.shape, start, values.numel() * sizeof(float));
    }
}
