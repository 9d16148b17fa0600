using MoeSharp;
using MoeSharp.Cli;
using MoeSharp.Comparison;

// before libtorch is loaded, which reads both once
ThreadWaiting.SpinBriefly();
Reproducibility.Enable();

var surroundings = Surroundings.OfProcess() with { Engine = new Engine { Layers = [.. LayerEngine.All, .. OnnxRuntimeExperts.Engines] } };
return new Tool(surroundings).Run(["bench", "layer", .. args]);
