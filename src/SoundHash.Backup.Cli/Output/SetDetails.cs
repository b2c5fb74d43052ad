using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Output;

/// <summary>`backup show` as text.</summary>
internal static class SetDetails
{
    public static void Print(Terminal terminal, Manifest manifest, ShowDocument document)
    {
        foreach (var (name, value) in Facts(manifest, document))
        {
            terminal.Line($"{name,-18} {value}");
        }

        var damaged = document.DamagedObjects.ToHashSet();
        var rows = manifest.Objects.Select(o => new[]
        {
            o.Key,
            o.Role.Word(),
            Sizes.Bytes(o.StoredBytes),
            Sizes.Bytes(o.PlainBytes),
            o.Encryption.Word(),
            o.StoredSha256,
            damaged.Contains(o.Key) ? "DAMAGED" : "ok",
        });
        terminal.Line(string.Empty);
        foreach (var line in TextTable.Lines(["OBJECT", "ROLE", "STORED", "PLAIN", "ENCRYPTION", "SHA-256 AS STORED", "STATE"], rows))
        {
            terminal.Line(line);
        }
    }

    private static IEnumerable<(string Name, string Value)> Facts(Manifest manifest, ShowDocument document)
    {
        var plain = Sizes.Bytes(manifest.PlainBytes);
        return
        [
            ("set", manifest.Id),
            ("database", manifest.Database),
            ("kind, tier", $"{manifest.Kind.Word()}, {manifest.Tier.Word()}"),
            ("started", Sizes.Time(manifest.Started)),
            ("stopped", Sizes.Time(manifest.Stopped)),
            ("took", Sizes.Duration(manifest.Stopped - manifest.Started)),
            ("expires", document.Pinned ? "never (pinned)" : Sizes.Time(document.Expires)),
            ("server, pg_dump", $"{manifest.ServerVersion}, {manifest.DumpVersion}"),
            ("system identifier", manifest.SystemIdentifier ?? "unknown"),
            ("shbackup", manifest.ToolVersion),
            ("size", $"{Sizes.Bytes(manifest.StoredBytes)} stored, {plain} plain, {Sizes.Bytes(manifest.DatabaseBytes)} on the server"),
            ("recipients", string.Join(", ", manifest.Objects.SelectMany(static o => o.Recipients).Distinct())),
        ];
    }
}
