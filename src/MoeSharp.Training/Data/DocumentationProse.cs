using System.Text;
using System.Xml.Linq;

namespace MoeSharp.Training;

/// <summary>Makes prose of the XML comments of a member.</summary>
internal static class DocumentationProse
{
    /// <summary>What the comments say, a line per summary, parameter, result, exception and remark; empty when they say nothing.</summary>
    public static string Body(XElement member)
    {
        var lines = new List<string>();

        Add(lines, "", member.Elements("summary"));
        foreach (var parameter in member.Elements("typeparam").Concat(member.Elements("param")))
        {
            Add(lines, $"{Attribute(parameter, "name")}: ", [parameter]);
        }

        Add(lines, "Value: ", member.Elements("value"));
        Add(lines, "Returns: ", member.Elements("returns"));
        foreach (var exception in member.Elements("exception")) Add(lines, $"Throws {Reference(exception)}: ", [exception]);
        Add(lines, "", member.Elements("remarks"));

        return string.Join('\n', lines);
    }

    private static void Add(List<string> lines, string label, IEnumerable<XElement> elements)
    {
        foreach (var element in elements)
        {
            var text = new StringBuilder();
            Append(text, element);
            if (OnOneLine(text) is { Length: > 0 } prose) lines.Add(label + prose);
        }
    }

    private static void Append(StringBuilder text, XElement element)
    {
        foreach (var node in element.Nodes())
        {
            if (node is XText words) text.Append(words.Value);
            else if (node is XElement child) AppendElement(text, child);
        }
    }

    private static void AppendElement(StringBuilder text, XElement element)
    {
        switch (element.Name.LocalName)
        {
            case "see" or "seealso" when element.IsEmpty || element.Value.Length == 0:
                text.Append(Reference(element));
                break;
            case "paramref" or "typeparamref":
                text.Append(Attribute(element, "name"));
                break;
            case "c" or "code":
                text.Append('`').Append(element.Value.Trim()).Append('`');
                break;
            case "para" or "p" or "br" or "item" or "li" or "listheader" or "list" or "description":
                text.Append(' ');
                Append(text, element);
                text.Append(' ');
                break;
            case "term":
                Append(text, element);
                text.Append(':');
                break;
            default:
                Append(text, element);
                break;
        }
    }

    private static string Reference(XElement element) =>
        element.Attribute("cref") is { } reference
            ? DocumentationName.Reference(reference.Value)
            : Attribute(element, "langword") + Attribute(element, "href");

    private static string Attribute(XElement element, string name) => element.Attribute(name)?.Value ?? "";

    // white space of any length becomes one space, none at the ends
    private static string OnOneLine(StringBuilder text)
    {
        var kept = 0;

        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsWhiteSpace(text[i])) text[kept++] = text[i];
            else if (kept > 0 && text[kept - 1] != ' ') text[kept++] = ' ';
        }

        if (kept > 0 && text[kept - 1] == ' ') kept--;
        return text.ToString(0, kept);
    }
}
