using System.Diagnostics;

namespace MoeSharp.Training;

/// <summary>A text that belongs together: a file, a line of a JSON lines file, the documentation of a type.</summary>
/// <param name="Name">Where it comes from, for people.</param>
/// <param name="Text">The text.</param>
[DebuggerDisplay("{Name}: {Text.Length} characters")]
public sealed record TextDocument(string Name, string Text);
