using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

/// <summary>Writes what a model computes as a model case (format 2), so that others can hold their implementation against it.</summary>
internal static class ModelCaseWriter
{
    private const int NewTokens = 8;
    private const long LargestGradient = 2048;      // elements; with one expert of each layer, the case stays small

    public static void Write(DecoderModel model, Tensor tokens, string path, string name)
    {
        using var scope = NewDisposeScope();
        var tensors = new List<TensorToWrite> { Integers("input_ids", tokens), Integers("attention_mask", ones_like(tokens)), Integers("greedy", Greedy(model, tokens)) };

        var (hidden, routing) = model.call(tokens);
        var loss = TrainingStep.LanguageModelLoss(model, hidden, ModelCase.NextTokens(tokens));
        tensors.Add(TensorMemory.ToWrite("logits", model.Logits(hidden)));
        tensors.Add(TensorMemory.ToWrite("loss", loss));
        tensors.Add(TensorMemory.ToWrite("aux_loss", BalanceLoss.LoadBalance(routing)));
        tensors.AddRange(Blocks(model, tokens));

        model.zero_grad();
        GuardedBackward.Run(loss);
        tensors.AddRange(PublishedWeights.Of(model).Select(weight => (weight.Name, Gradient: weight.Of(weight.Parameter.grad!)))
            .Where(pair => pair.Gradient.numel() <= LargestGradient && (!pair.Name.Contains(".experts.", StringComparison.Ordinal) || pair.Name.Contains(".experts.0.", StringComparison.Ordinal)))
            .Select(pair => TensorMemory.ToWrite($"grad.{pair.Name}", pair.Gradient)));

        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string> { ["case"] = $$"""{"name": "{{name}}", "source": "MoeSharp", "format": 1, "tolerance": 0.0001}""" });
    }

    private static IEnumerable<TensorToWrite> Blocks(DecoderModel model, Tensor tokens)
    {
        var hidden = model.Embedding.index_select(0, tokens.flatten()).view(tokens.size(0), tokens.size(1), -1);
        var angles = new RotaryEmbedding(model.Options.Attention.HeadSize, model.Options.Attention.RopeTheta).Angles(0, tokens.size(1), tokens.device);
        foreach (var (index, layer) in model.Layers.Index())
        {
            var (attended, input) = layer.Attend(hidden, new(angles, Mask: null, IsCausal: true, Past: null));
            var (plan, output) = (layer.Moe!.Plan(input), layer.Moe.call(input).Hidden);      // every layer of the tiny preset is sparse
            hidden = attended + output;

            yield return TensorMemory.ToWrite($"layers.{index}.moe.input", input);
            yield return TensorMemory.ToWrite($"layers.{index}.moe.output", output);
            yield return TensorMemory.ToWrite($"layers.{index}.moe.router_logits", layer.Moe.Gate.call(input).flatten(0, -2));
            yield return TensorMemory.ToWrite($"layers.{index}.moe.weights", plan.Weights);
            yield return Integers($"layers.{index}.moe.expert_ids", plan.Experts);
        }
    }

    private static Tensor Greedy(DecoderModel model, Tensor tokens)
    {
        var sampler = new TokenSampler(new() { Temperature = 0 });
        return stack(Enumerable.Range(0, (int)tokens.size(0)).Select(row =>
        {
            List<long> text = [.. tokens[row].data<long>().ToArray()];
            for (int i = 0; i < NewTokens; i++) text.Add(sampler.Choose(TextGenerator.NextLogits(model, text, cache: null)).Id);
            return tensor(text.ToArray());
        }));
    }

    private static TensorToWrite Integers(string name, Tensor value) => new(name, TensorType.I64, value.shape, stream => stream.Write(value.contiguous().bytes));
}
