using System.CommandLine;
using System.Text.Json;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary><c>moesharp tokenizer train | encode | decode</c>: byte-level BPE.</summary>
internal static class TokenizerCommand
{
    public static ToolCommand Create(Surroundings surroundings)
    {
        var command = new ToolCommand("tokenizer", "Train a byte-level BPE tokenizer, or use one.") { Examples = ["moesharp tokenizer train --data notes/ --vocabulary 8192 --out my-tokenizer", "moesharp tokenizer encode my-tokenizer --text \"Hello\""] };
        command.Add(Train(surroundings));
        command.Add(Encode(surroundings));
        command.Add(Decode(surroundings));
        return command;
    }

    private static ToolCommand Train(Surroundings surroundings)
    {
        var data = ToolOption.Paths("--data", "text to learn from: files, folders or globs");
        var vocabulary = ToolOption.Of("--vocabulary", "N", ValueKind.WholeNumberFrom(257), "number of tokens, with the 256 bytes and the end of text");
        var output = ToolOption.Of("--out", "DIR", ValueKind.Text, "folder for tokenizer.json and tokenizer_config.json");
        var force = ToolOption.Flag("--force", "replace the tokenizer that the folder holds");
        var json = ToolOption.Flag("--json", "print the result as one JSON object");
        (data.Required, vocabulary.Required, output.Required) = (true, true, true);
        var command = new ToolCommand("train", "Train a byte-level BPE tokenizer on text.") { Examples = ["moesharp tokenizer train --data notes/ \"articles/**/*.md\" --vocabulary 8192 --out my-tokenizer"] };
        command.Add("Training", data, vocabulary, output, force, json);
        command.Does(parsed =>
        {
            using var signals = new StopSignals(() => { });
            var (folder, wanted) = (parsed.GetRequiredValue(output), parsed.GetRequiredValue(vocabulary));
            if (File.Exists(folder)) throw new UsageException($"--out is {folder}, which is a file; give a folder.");
            if (File.Exists(Path.Combine(folder, ByteLevelTokenizer.FileName)) && !parsed.GetValue(force))
                throw new UsageException($"{folder} holds a tokenizer, and a model that learned with it reads no other. Replace it with --force, or give another folder with --out.");

            var trained = surroundings.Engine.TrainTokenizer(parsed.GetRequiredValue(data), wanted, folder, signals.Token);
            if (trained.VocabularySize < wanted) surroundings.Error.WriteLine($"The text gave no more of the {Quantity.Grouped(wanted)} tokens asked for: no pair of its tokens occurs twice.");

            if (parsed.GetValue(json)) surroundings.Output.WriteLine(JsonSerializer.Serialize(new(1, trained.VocabularySize, trained.Fingerprint, folder), CliJsonContext.Readable.TrainedTokenizer));
            else surroundings.Output.WriteLine($"{trained.VocabularySize} tokens written to {folder}");
            return ExitCode.Success;
        });
        return command;
    }

    private static ToolCommand Encode(Surroundings surroundings)
    {
        var folder = Folder();
        var text = ToolOption.Of("--text", "TEXT", ValueKind.Text, "text to encode; - reads it from standard input", isFreeText: true);
        var json = ToolOption.Flag("--json", "print the ids as one JSON object");
        text.Required = true;
        var command = new ToolCommand("encode", "Turn text into token ids.") { Examples = ["moesharp tokenizer encode runs/default --text \"Hello, world\"", "moesharp tokenizer encode runs/default --text - --json < notes.txt"] };
        command.Add(folder);
        command.Add("Text", text, json);
        command.Does(parsed =>
        {
            var given = parsed.GetRequiredValue(text);
            var ids = ByteLevelTokenizer.Load(parsed.GetRequiredValue(folder)).Encode(given == "-" ? surroundings.Input.ReadToEnd() : given);

            surroundings.Output.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(new(1, ids), CliJsonContext.Readable.TokenIds) : string.Join(' ', ids));
            return ExitCode.Success;
        });
        return command;
    }

    private static ToolCommand Decode(Surroundings surroundings)
    {
        var folder = Folder();
        var ids = ToolOption.Of("--ids", "N,N", ValueKind.WholeNumbers, "token ids, separated by commas or spaces");
        var json = ToolOption.Flag("--json", "print the text as one JSON object");
        ids.Required = true;
        ids.AllowMultipleArgumentsPerToken = true;
        ids.Arity = ArgumentArity.OneOrMore;
        var command = new ToolCommand("decode", "Turn token ids into text.") { Examples = ["moesharp tokenizer decode runs/default --ids 72,101,290", "moesharp tokenizer decode runs/default --ids 72 101 290 --json"] };
        command.Add(folder);
        command.Add("Text", ids, json);
        command.Does(parsed =>
        {
            var tokenizer = ByteLevelTokenizer.Load(parsed.GetRequiredValue(folder));
            var given = parsed.GetRequiredValue(ids);
            if (given.Where(id => !tokenizer.HasToken(id)).ToArray() is [int unknown, ..]) throw new UsageException($"--ids has {unknown}, which is no token; the size of the vocabulary is {tokenizer.VocabularySize}.");

            string text = tokenizer.Decode(given);
            surroundings.Output.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(new(1, text), CliJsonContext.Readable.DecodedText) : text);
            return ExitCode.Success;
        });
        return command;
    }

    private static Argument<string> Folder() => new("folder") { HelpName = "FOLDER", Description = "folder with a tokenizer.json, or the file itself" };
}

/// <summary>The JSON of <c>moesharp tokenizer train --json</c>.</summary>
internal sealed record TrainedTokenizer(int Version, int VocabularySize, string Fingerprint, string Folder);

/// <summary>The JSON of <c>moesharp tokenizer encode --json</c>.</summary>
internal sealed record TokenIds(int Version, IReadOnlyList<int> Ids);

/// <summary>The JSON of <c>moesharp tokenizer decode --json</c>.</summary>
internal sealed record DecodedText(int Version, string Text);
