namespace SoundHash.Backup.Cli.Output;

/// <summary>Aligned columns; control characters in values are shown as '?', so that no name can steer a terminal.</summary>
internal static class TextTable
{
    public static IEnumerable<string> Lines(IReadOnlyList<string> header, IEnumerable<IReadOnlyList<string>> rows)
    {
        var all = rows.Prepend(header).Select(static r => r.Select(Printable).ToList()).ToList();
        var widths = Enumerable.Range(0, header.Count).Select(c => all.Max(r => r[c].Length)).ToList();
        return all.Select(r => string.Join("  ", r.Select((cell, c) => cell.PadRight(widths[c]))).TrimEnd());
    }

    public static string Printable(string text) => new(text.Select(static c => char.IsControl(c) ? '?' : c).ToArray());
}
