using System.Globalization;

namespace MoeSharp.Cli;

/// <summary>Numbers as people read them, the same in every culture.</summary>
internal static class Quantity
{
    /// <summary>1234567 as 1.2M.</summary>
    public static string Short(long count) => count switch
    {
        >= 1_000_000_000 => Text($"{count / 1e9:0.0}B"),
        >= 1_000_000 => Text($"{count / 1e6:0.0}M"),
        >= 10_000 => Text($"{count / 1e3:0}K"),
        _ => Text($"{count}"),
    };

    /// <summary>Decimal gigabytes, or megabytes below a tenth of one.</summary>
    public static string Bytes(long bytes) => bytes >= 100_000_000 ? Text($"{bytes / 1e9:0.00} GB") : Text($"{bytes / 1e6:0.0} MB");

    /// <summary>Bytes, KB, MB, GB or TB, decimal.</summary>
    public static string Size(long bytes) => bytes switch
    {
        < 10_000 => Text($"{bytes} B"),
        < 1_000_000 => Text($"{bytes / 1e3:0.0} KB"),
        < 1_000_000_000 => Text($"{bytes / 1e6:0.0} MB"),
        < 1_000_000_000_000 => Text($"{bytes / 1e9:0.0} GB"),
        _ => Text($"{bytes / 1e12:0.00} TB"),
    };

    /// <summary>1 token, 2 tokens.</summary>
    public static string Counted(long count, string one, string many) => $"{count} {(count == 1 ? one : many)}";

    /// <summary>Grouped by thousands.</summary>
    public static string Grouped(double count) => Text($"{count:#,0}");

    /// <summary>A duration as 45s, 3m05s or 2h05m.</summary>
    public static string Duration(TimeSpan time) => time switch
    {
        { TotalSeconds: < 60 } => Text($"{time.TotalSeconds:0}s"),
        { TotalMinutes: < 60 } => Text($"{time.Minutes}m{time.Seconds:00}s"),
        _ => Text($"{(int)time.TotalHours}h{time.Minutes:00}m"),
    };

    public static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
