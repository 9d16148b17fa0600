namespace MoeSharp.Training;

/// <summary>What a byte-level BPE vocabulary is trained to be. Immutable.</summary>
public sealed record BpeTrainerOptions
{
    /// <summary>The number of tokens, the 256 bytes and the end-of-text token included; 257 or more. Short text may yield fewer.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>A pair that occurs less often is not merged; 1 or more, default 2.</summary>
    public int MinimumFrequency { get; init; } = 2;

    /// <summary>The special token, with id 0, that stands between texts; default <c>&lt;|endoftext|&gt;</c>.</summary>
    public string EndOfText { get; init; } = "<|endoftext|>";

    /// <summary>Checks the options.</summary>
    /// <exception cref="MoeException">A value is out of range; the message names it.</exception>
    public void Validate()
    {
        if (VocabularySize < 257)
        {
            throw new MoeException(
                $"The vocabulary size is {VocabularySize}; byte-level BPE needs 257 or more: 256 bytes and the end-of-text token.");
        }

        if (MinimumFrequency < 1) throw new MoeException($"The minimum frequency is {MinimumFrequency}; it must be 1 or more.");
        if (EndOfText.Length < 2)
        {
            throw new MoeException($"The end-of-text token is '{EndOfText}'; it must have two characters or more, as no single one is free.");
        }
    }
}
