using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary><c>moesharp generate</c>: continues a prompt with a trained model.</summary>
internal sealed class GenerateCommand
{
    private readonly Argument<string> _folder = new("folder") { HelpName = "FOLDER", Description = "folder of a model: config.json, model.safetensors, tokenizer.json" };
    private readonly ToolOption<string> _prompt = ToolOption.Of("--prompt", "TEXT", ValueKind.Text, "text to continue; - reads it from standard input", isFreeText: true);
    private readonly ToolOption<int> _maxNewTokens = ToolOption.Of("--max-new-tokens", "N", ValueKind.WholeNumberFrom(1), "most tokens to generate; the end of the text ends it earlier", "128");
    private readonly ToolOption<double> _temperature = ToolOption.Of("--temperature", "X", ValueKind.NumberIn(0, 100, "a number from 0 to 100"), "divides the logits; 0 always takes the likeliest token", "0.8");
    private readonly ToolOption<int> _topK = ToolOption.Of("--top-k", "N", ValueKind.WholeNumberFrom(1), "choose among the N likeliest tokens", "all");
    private readonly ToolOption<double> _topP = ToolOption.Of("--top-p", "X", ValueKind.NumberIn(double.Epsilon, 1, "a number above 0 and up to 1"), "choose among the likeliest tokens that together have this probability", "1");
    private readonly ToolOption<int> _seed = ToolOption.Of("--seed", "N", ValueKind.WholeNumber, "decides the random choices; the same seed gives the same text", "0");
    private readonly ToolOption<bool> _noCache = ToolOption.Flag("--no-cache", "compute every token from the whole text: slow, the reference for the cache");
    private readonly ToolOption<string> _trace = ToolOption.Of("--trace", "FILE", ValueKind.Text, "record which tokens went to which experts, for 'moesharp trace'");
    private readonly ToolOption<bool> _force = ToolOption.Flag("--force", "replace what --trace holds");
    private readonly ToolOption<int> _threads = ToolOption.Of("--threads", "N", ValueKind.WholeNumberIn(1, WorkerPool.MostThreads), "threads to compute with", "all cores");
    private readonly ToolOption<bool> _json = ToolOption.Flag("--json", "print one JSON object with prompt, text, token ids and tokens per second");
    private readonly Surroundings _surroundings;

    private GenerateCommand(Surroundings surroundings)
    {
        _surroundings = surroundings;
    }

    public static ToolCommand Create(Surroundings surroundings) => new GenerateCommand(surroundings).ToCommand();

    private ToolCommand ToCommand()
    {
        _prompt.Required = true;
        var command = new ToolCommand("generate", "Continue a prompt with a trained model.")
        {
            Note = "Prints the prompt and, as it is generated, the text that continues it.",
            Examples =
            [
                "moesharp generate runs/default --prompt \"Returns the\"",
                "moesharp generate runs/default --prompt \"A collection\" --temperature 0 --max-new-tokens 40",
                "cat question.txt | moesharp generate my-model --prompt - --json",
            ],
        };
        command.Add(_folder);
        command.Add("Text", _prompt, _maxNewTokens);
        command.Add("Sampling", _temperature, _topK, _topP, _seed);
        command.Add("Computing and output", _noCache, _threads, _trace, _force, _json);
        command.Does(Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        var folder = parsed.GetRequiredValue(_folder);
        if (!Directory.Exists(folder)) throw new MoeException($"There is no folder '{folder}'. Give the folder of a model, such as the one that 'moesharp train' wrote.");

        var prompt = parsed.GetRequiredValue(_prompt);
        if (prompt == "-") prompt = _surroundings.Input.ReadToEnd();
        var trace = parsed.GetValue(_trace);
        if (trace is not null) RoutingTraceFile.Check(trace, parsed.GetValue(_force), "Replace it with --force, or give another file with --trace.");
        if (parsed.TryGet(_threads, out var threads)) _surroundings.Engine.UseThreads(threads);

        using var signals = new StopSignals(() => { });
        var tokens = _surroundings.Engine.Generate(folder, prompt, Sampling(parsed), trace, signals.Token);
        if (parsed.GetValue(_json)) WriteJson(prompt, tokens);
        else Stream(prompt, tokens);

        return signals.Token.IsCancellationRequested ? ExitCode.Cancelled : ExitCode.Success;
    }

    private SamplingOptions Sampling(ParseResult parsed)
    {
        var sampling = new SamplingOptions { UseCache = !parsed.GetValue(_noCache) };
        if (parsed.TryGet(_maxNewTokens, out var maxNewTokens)) sampling = sampling with { MaxNewTokens = maxNewTokens };
        if (parsed.TryGet(_temperature, out var temperature)) sampling = sampling with { Temperature = temperature };
        if (parsed.TryGet(_topK, out var topK)) sampling = sampling with { TopK = topK };
        if (parsed.TryGet(_topP, out var topP)) sampling = sampling with { TopP = topP };
        if (parsed.TryGet(_seed, out var seed)) sampling = sampling with { Seed = seed };

        return sampling;
    }

    private void Stream(string prompt, IEnumerable<GeneratedToken> tokens)
    {
        var output = _surroundings.Output;
        using var coming = tokens.GetEnumerator();
        bool isMore = coming.MoveNext();        // reads the model first: what cannot be continued is not repeated
        output.Write(prompt);
        try
        {
            for (; isMore; isMore = coming.MoveNext())
            {
                output.Write(coming.Current.Text);
                output.Flush();
            }
        }
        finally
        {
            output.WriteLine();
        }
    }

    private void WriteJson(string prompt, IEnumerable<GeneratedToken> tokens)
    {
        var clock = Stopwatch.StartNew();
        var generated = tokens.ToArray();
        var text = string.Concat(generated.Select(token => token.Text));
        int[] ids = [.. generated.Select(token => token.Id).Where(id => id >= 0)]; // what is left of a broken character comes last, without a token
        var result = new GeneratedText(1, prompt, text, ids, ids.Length / clock.Elapsed.TotalSeconds);

        _surroundings.Output.WriteLine(JsonSerializer.Serialize(result, CliJsonContext.Readable.GeneratedText));
    }
}

/// <summary>The JSON of <c>moesharp generate --json</c>; <paramref name="TokensPerSecond"/> includes loading the model.</summary>
internal sealed record GeneratedText(int Version, string Prompt, string Text, IReadOnlyList<int> TokenIds, double TokensPerSecond);
