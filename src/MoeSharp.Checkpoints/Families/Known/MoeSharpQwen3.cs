namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Models of Qwen3-MoE's architecture with another routing, which MoeSharp trains: the config holds the layer in full.</summary>
    internal static readonly ModelFamily MoeSharpQwen3 = new()
    {
        ModelTypes = [Qwen3MoeConfig.ExtendedModelType],
        Describe = config => config.Model(Qwen3MoeReader.Read(config.Json).Layers),
        Layouts =
        [
            new()
            {
                Router = "mlp.gate",
                CorrectionBias = "mlp.gate.e_score_correction_bias",
                QuantileBias = "mlp.gate.quantile_bias",
                TokenTable = "mlp.gate.tid2eid",
                Experts = [Stored.PerExpert("mlp.experts")],
            },
        ],
    };
}
