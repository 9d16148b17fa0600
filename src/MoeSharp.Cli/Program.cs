using MoeSharp.Cli;

return new Tool(Surroundings.OfProcess()).Run(args);
