using System.Text.RegularExpressions;

namespace MoeSharp.Training;

/// <summary>
/// Makes names that people read of the ids in XML documentation:
/// <c>M:System.Collections.Generic.List`1.Add(`0)</c> is <c>List&lt;T&gt;.Add(T)</c>.
/// </summary>
internal static partial class DocumentationName
{
    /// <summary>The full name of the type that an id names, or of the type whose member it names; type parameters count, <c>List`1</c>.</summary>
    public static string TypeOf(string id)
    {
        var path = Path(id);
        return IsMember(id) && path.LastIndexOf('.') is > 0 and var dot ? path[..dot] : path;
    }

    /// <summary>The name of a type or member, with the types of its parameters.</summary>
    /// <param name="id">The id, such as <c>M:System.String.Substring(System.Int32)</c>.</param>
    /// <param name="typeParameters">The names of the type's type parameters, as far as known.</param>
    /// <param name="methodParameters">The names of the method's own type parameters, as far as known.</param>
    public static string Readable(string id, IReadOnlyList<string> typeParameters, IReadOnlyList<string> methodParameters)
    {
        var type = Short(TypeOf(id)) + Generic(typeParameters);
        if (!IsMember(id)) return type;

        var signature = id[(2 + Path(id).Length)..].Split('~');                  // "(parameters)", and of conversions "~result"
        var parameters = id[0] == 'M' && signature[0].Length == 0 ? "()" : Types(signature[0], typeParameters, methodParameters);
        var result = signature.Length > 1 ? $" to {Types(signature[1], typeParameters, methodParameters)}" : "";
        var member = Member(id);

        return member is null ? $"new {type}{parameters}" : $"{type}.{member}{Generic(methodParameters)}{parameters}{result}";
    }

    /// <summary>The name that running text calls a <c>cref</c> by: a type alone, a member with its type, both without parameters.</summary>
    public static string Reference(string id)
    {
        if (id is not [_, ':', ..]) return id;

        var type = Short(TypeOf(id));
        return IsMember(id) && Member(id) is { } member ? $"{type}.{member}" : type;
    }

    private static bool IsMember(string id) => id is ['M' or 'P' or 'F' or 'E' or 'O', ':', ..];

    private static string Path(string id)
    {
        var path = id.AsSpan(2);
        return (path.IndexOfAny('(', '~') is >= 0 and var end ? path[..end] : path).ToString();
    }

    // null for a constructor; of an explicitly implemented member the interface is dropped: "System#IConvertible#ToByte"
    private static string? Member(string id)
    {
        var path = Path(id);
        var name = WithoutArity(path[(path.LastIndexOf('.') + 1)..]);
        if (name is "#ctor" or "#cctor") return null;

        name = name[(name.LastIndexOf('#') + 1)..];
        return name.StartsWith("op_", StringComparison.Ordinal) ? $"operator {name[3..]}" : name;
    }

    private static string Generic(IReadOnlyList<string> names) => names.Count == 0 ? "" : $"<{string.Join(", ", names)}>";

    private static string Short(string fullName) => WithoutArity(fullName[(fullName.LastIndexOf('.') + 1)..]);

    private static string WithoutArity(string name) => name.Contains('`', StringComparison.Ordinal) ? Arity().Replace(name, "") : name;

    private static string Types(string types, IReadOnlyList<string> typeParameters, IReadOnlyList<string> methodParameters)
    {
        if (types.Length == 0) return "";

        var named = Placeholder().Replace(types, match =>
            NameAt(match.Value.StartsWith("``", StringComparison.Ordinal) ? methodParameters : typeParameters, match.Value.TrimStart('`')));

        return Namespaces().Replace(WithoutArity(named), "")
            .Replace("@", "", StringComparison.Ordinal)                          // ref and out
            .Replace('{', '<').Replace('}', '>')
            .Replace(",", ", ", StringComparison.Ordinal)
            .Replace("0:, 0:", ",", StringComparison.Ordinal);                   // the bounds of an array, "[0:,0:]"
    }

    private static string NameAt(IReadOnlyList<string> names, string index) =>
        int.TryParse(index, out var at) && at < names.Count ? names[at] : $"T{index}";

    [GeneratedRegex(@"(?<=\w)``?\d+")]
    private static partial Regex Arity();

    [GeneratedRegex(@"(?<!\w)``?\d+")]
    private static partial Regex Placeholder();

    [GeneratedRegex(@"\b(?:\w+\.)+")]
    private static partial Regex Namespaces();
}
