using Spectre.Console;

namespace MoeSharp.Cli;

/// <summary>A table: drawn on a terminal, aligned words anywhere else.</summary>
internal sealed class TableWriter(params IReadOnlyList<string> columns)
{
    private readonly List<(string[] Cells, string? Style)> _rows = [];

    /// <summary>Columns that hold numbers, aligned to the right.</summary>
    public IReadOnlySet<string> Numbers { get; init; } = new HashSet<string>();

    public bool IsEmpty => _rows.Count == 0;

    /// <summary>Adds a row; the style colours its last cell on a terminal.</summary>
    public void Add(string[] cells, string? style = null) => _rows.Add((cells, style));

    public void Write(Surroundings surroundings)
    {
        if (surroundings.Terminal is { } terminal) terminal.Write(Drawn());
        else WritePlain(surroundings.Output);
    }

    private Table Drawn()
    {
        var table = new Table().Border(TableBorder.Rounded).BorderColor(Color.Grey);
        foreach (var column in columns)
        {
            table.AddColumn(new TableColumn(new Markup($"[bold]{Markup.Escape(column)}[/]")) { Alignment = Numbers.Contains(column) ? Justify.Right : Justify.Left });
        }

        foreach (var (cells, style) in _rows)
        {
            table.AddRow(cells.Select((cell, index) => new Text(cell, index == cells.Length - 1 && style is not null ? Style.Parse(style) : Style.Plain)));
        }

        return table;
    }

    private void WritePlain(TextWriter output)
    {
        var lines = _rows.Select(row => row.Cells).Prepend([.. columns]).ToArray();
        var widths = columns.Select((_, index) => lines.Max(line => line[index].Length)).ToArray();
        foreach (var line in lines)
        {
            output.WriteLine(string.Join("  ", line.Select((cell, index) => Numbers.Contains(columns[index]) ? cell.PadLeft(widths[index]) : cell.PadRight(widths[index]))).TrimEnd());
        }
    }
}
