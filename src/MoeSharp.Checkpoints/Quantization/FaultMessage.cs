using System.Globalization;
using System.Runtime.CompilerServices;

namespace MoeSharp.Checkpoints;

/// <summary>The message of a fault, put together only when there is one: checks run for a hundred thousand weights, of which none is at fault as a rule.</summary>
[InterpolatedStringHandler]
internal ref struct FaultMessage
{
    private DefaultInterpolatedStringHandler _text;

    public FaultMessage(int literalLength, int formattedCount, bool isFaulty, out bool isNeeded)
    {
        isNeeded = isFaulty;
        if (isFaulty) _text = new DefaultInterpolatedStringHandler(literalLength, formattedCount, CultureInfo.InvariantCulture);
    }

    public void AppendLiteral(string text) => _text.AppendLiteral(text);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    /// <summary>The message; once, and only when it is needed.</summary>
    public string ToStringAndClear() => _text.ToStringAndClear();
}
