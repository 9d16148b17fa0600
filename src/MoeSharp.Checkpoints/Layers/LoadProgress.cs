namespace MoeSharp.Checkpoints;

/// <summary>How far a layer is loaded.</summary>
/// <param name="Layer">The layer's place in the model, from 0.</param>
/// <param name="ExpertsDone">Experts that are loaded.</param>
/// <param name="ExpertCount">All of its experts.</param>
public readonly record struct LoadProgress(int Layer, int ExpertsDone, int ExpertCount);
