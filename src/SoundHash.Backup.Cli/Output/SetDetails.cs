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
            ("database", manifest.Physical is null ? manifest.Database : "(the whole cluster)"),
            ("kind, tier", $"{manifest.Kind.Word()}, {manifest.Tier.Word()}"),
            ("started", Sizes.Time(manifest.Started)),
            ("stopped", Sizes.Time(manifest.Stopped)),
            ("took", Sizes.Duration(manifest.Stopped - manifest.Started)),
            ("expires", document.Pinned ? "never (pinned)" : Sizes.Time(document.Expires)),
            manifest.Physical is null ? ("server, pg_dump", $"{manifest.ServerVersion}, {manifest.DumpVersion}") : ("server", manifest.ServerVersion),
            ("system identifier", manifest.SystemIdentifier ?? "unknown"),
            ("shbackup", manifest.ToolVersion),
            ("size", $"{Sizes.Bytes(manifest.StoredBytes)} stored, {plain} plain, {Sizes.Bytes(manifest.DatabaseBytes)} on the server"),
            .. document.Copies is { } copies ? [("copies", string.Join(", ", copies.Select(static c => $"{c.Store} {c.State}")))] : Array.Empty<(string, string)>(),
            ("recipients", string.Join(", ", manifest.Objects.SelectMany(static o => o.Recipients).Distinct())),
            .. manifest.Physical is { } physical ? Facts(physical) : [],
        ];
    }

    private static IEnumerable<(string Name, string Value)> Facts(PhysicalFacts facts) =>
    [
        ("timeline", $"{facts.Timeline}"),
        ("LSN", $"{facts.StartLsn} to {facts.StopLsn}"),
        ("WAL needed", $"{facts.FirstSegment} to {facts.LastSegment}"),
        ("files", Sizes.Count(facts.Files, "file")),
        ("page checksums", (facts.PageChecksums, facts.DamagedPages.Count) switch
        {
            (false, _) => "the cluster has none",
            (true, 0) => "all right",
            (true, var count) => $"{Sizes.Count(count, "DAMAGED page")}: "
                + string.Join(", ", facts.DamagedPages.Take(5).Select(static p => $"{p.Path} block {p.Block}")) + (count > 5 ? ", …" : string.Empty),
        }),
    ];
}
