using System.Text;
using System.Text.RegularExpressions;

namespace SoundHash.Backup.Restores;

/// <summary>What pg_restore --list says of an archive: where it comes from, and what tables it has.</summary>
/// <param name="Database">The database that was dumped.</param>
/// <param name="ServerVersion">Of its server.</param>
/// <param name="DumpVersion">Of the pg_dump that made it.</param>
/// <param name="Dumped">When, by the clock of the machine that made it, whose zone the archive does not say.</param>
/// <param name="Tables">What follows TABLE in its lines: schema, name and owner, as they are, with spaces between.</param>
/// <param name="Rows">The same of TABLE DATA.</param>
/// <param name="Sequences">The same of SEQUENCE SET.</param>
/// <param name="HasViews">It refreshes materialized views.</param>
internal sealed partial record ArchiveList(
    string? Database,
    string? ServerVersion,
    string? DumpVersion,
    string? Dumped,
    IReadOnlyList<string> Tables,
    IReadOnlyList<string> Rows,
    IReadOnlyList<string> Sequences,
    bool HasViews)
{
    /// <param name="listing">The lines, in the encoding of the database. What is no UTF-8 becomes U+FFFD, and is no name then.</param>
    public static ArchiveList Parse(ReadOnlySpan<byte> listing)
    {
        var lines = Encoding.UTF8.GetString(listing).Split('\n');
        string? Told(string label) => lines.FirstOrDefault(l => l.StartsWith(label, StringComparison.Ordinal))?[label.Length..];
        var entries = lines.Select(static l => Entry().Match(l)).Where(static m => m.Success).ToLookup(
            static m => m.Groups["kind"].Value, static m => m.Groups["rest"].Value);
        return new ArchiveList(
            Told(";     dbname: "),
            Told(";     Dumped from database version: "),
            Told(";     Dumped by pg_dump version: "),
            // pg_restore adds the zone of its own machine.
            Told("; Archive created at ") is { Length: > 19 } made ? made[..19] : null,
            entries["TABLE"].ToList(),
            entries["TABLE DATA"].ToList(),
            entries["SEQUENCE SET"].ToList(),
            entries["MATERIALIZED VIEW DATA"].Any());
    }

    // src/bin/pg_dump/pg_backup_archiver.c, PrintTOCSummary.
    [GeneratedRegex(
        @"^\d+; \d+ \d+ (?<kind>TABLE DATA|TABLE ATTACH|SEQUENCE SET|MATERIALIZED VIEW DATA|TABLE) (?<rest>.+)$",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Entry();
}
