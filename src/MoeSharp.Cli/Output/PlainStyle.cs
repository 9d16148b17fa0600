using Spectre.Console;
using Spectre.Console.Rendering;

namespace MoeSharp.Cli;

/// <summary>Leaves text bare on a terminal without colours, which still makes it bold by itself; the cursor moves as before.</summary>
internal sealed class PlainStyle : IRenderHook
{
    private PlainStyle()
    {
    }

    /// <summary>Takes the style away where the terminal, or the user by NO_COLOR, wants no colours.</summary>
    public static void ApplyTo(IAnsiConsole terminal)
    {
        // hooks run from the last to the first: this one sees what a live display made of its picture
        if (terminal.Profile.Capabilities.ColorSystem == ColorSystem.NoColors) terminal.Pipeline.Attach(new PlainStyle());
    }

    public IEnumerable<IRenderable> Process(RenderOptions options, IEnumerable<IRenderable> renderables) => renderables.Select(renderable => new Bare(renderable));

    private sealed class Bare(IRenderable inner) : IRenderable
    {
        public Measurement Measure(RenderOptions options, int maxWidth) => inner.Measure(options, maxWidth);

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
            inner.Render(options, maxWidth).Select(segment => segment.IsControlCode || segment.IsLineBreak ? segment : new Segment(segment.Text));
    }
}
