using ScottPlot;
using SkiaSharp;

namespace MoeSharp.Cli;

/// <summary>The font of the plots comes with the tool (Inter, SIL Open Font License): servers often have no font at all.</summary>
internal sealed class PlotFonts : IFontResolver
{
    public const string Family = "Inter";

    private static readonly Lock Once = new();

    private readonly SKTypeface _regular = Load("Inter-Regular.ttf");

    private PlotFonts()
    {
    }

    /// <summary>Makes the family known to the plotting library and the default for all its text.</summary>
    public static void Install()
    {
        lock (Once)
        {
            if (Fonts.FontResolvers.Any(resolver => resolver is PlotFonts)) return;

            Fonts.FontResolvers.Insert(0, new PlotFonts());
            Fonts.Default = Family;
        }
    }

    public SKTypeface? CreateTypeface(string fontName, FontWeight weight, FontSlant slant, FontSpacing spacing) => fontName == Family ? _regular : null;

    public SKTypeface? CreateTypeface(string fontName, bool bold, bool italic) => fontName == Family ? _regular : null;

    private static SKTypeface Load(string name)
    {
        using var stream = EmbeddedFile.Open(name);
        return SKTypeface.FromStream(stream);
    }
}
