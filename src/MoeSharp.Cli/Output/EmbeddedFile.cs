namespace MoeSharp.Cli;

/// <summary>Files that the tool carries in itself.</summary>
internal static class EmbeddedFile
{
    public static Stream Open(string name) =>
        typeof(EmbeddedFile).Assembly.GetManifestResourceStream(name) ?? throw new FileNotFoundException($"The tool was built without its file '{name}'.", name);

    public static string ReadText(string name)
    {
        using var reader = new StreamReader(Open(name));
        return reader.ReadToEnd();
    }
}
