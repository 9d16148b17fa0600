using MoeSharp;
using MoeSharp.Cli;

// before libtorch is loaded, which reads both once
ThreadWaiting.SpinBriefly();
Reproducibility.Enable();

return new Tool(Surroundings.OfProcess()).Run(args);
