using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace MoeSharp.Readme.Tests;

/// <summary>Compiles a sample as a new console project would: implicit usings, nullable, and what this test project references.</summary>
internal static class SampleCompiler
{
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private static readonly CSharpParseOptions Language = new(LanguageVersion.Latest);

    private static readonly CSharpCompilationOptions Options = new(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable, allowUnsafe: true);

    // the runtime's own list: its assemblies, the packages, and ours
    private static readonly IReadOnlyList<MetadataReference> References =
    [
        .. ((string?)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") ?? "").Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path)),
    ];

    /// <summary>The errors and warnings, each with the line of the Markdown file.</summary>
    public static IEnumerable<string> Complaints(Sample sample) => CSharpCompilation
        .Create("Sample", [Parse(ImplicitUsings), Parse(sample.Code)], References, Options)
        .GetDiagnostics()
        .Where(diagnostic => diagnostic.Severity >= DiagnosticSeverity.Warning)
        .Select(diagnostic => $"{sample.File}({sample.Line + diagnostic.Location.GetLineSpan().StartLinePosition.Line}): {diagnostic.Id} {diagnostic.GetMessage(null)}");

    private static SyntaxTree Parse(string code) => CSharpSyntaxTree.ParseText(code, Language);
}
