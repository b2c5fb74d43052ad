using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Restores;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Cli.Output;

/// <summary>restore --list: what there is, for somebody who has to decide quickly. Works without a live server.</summary>
internal static class RestoreListing
{
    public static async Task<int> RunAsync(
        CliSession cli, IObjectStore store, ConnectionSettings server, RetentionDays retention, RestorePace pace, CancellationToken cancel)
    {
        var catalogue = await Catalogue.LoadAsync(store, cancel);
        var list = Commands.SetListing.Of(catalogue, retention);
        var sets = list.Sets.Select(s =>
        {
            var (seconds, from) = pace.Expect(catalogue.Find(s.Id));
            return new RestorableSet(s, [store.Name], seconds, from);
        }).ToList();
        var document = new RestoreListDocument(sets, list.Broken, await FreeBytesAsync(server, cancel));
        cli.Print(document, ResultJson.Default.RestoreListDocument, (terminal, d) => Print(terminal, d, cli.Time.GetUtcNow()));
        return Commands.SetListing.ReportBroken(cli, list);
    }

    private static void Print(Terminal terminal, RestoreListDocument document, DateTimeOffset now)
    {
        if (document.Sets.Count == 0)
        {
            terminal.Line("there are no sets");
            return;
        }

        var rows = document.Sets.Select(s => new[]
        {
            s.Set.Id,
            s.Set.Database,
            Sizes.Age(now - s.Set.Started),
            s.Set.Tier,
            Sizes.Bytes(s.Set.StoredBytes),
            Sizes.Bytes(s.Set.DatabaseBytes),
            string.Join(",", s.Copies),
            $"about {Sizes.Duration(TimeSpan.FromSeconds(s.ExpectedSeconds))}",
            s.Set.Complete ? "ok" : "DAMAGED",
        });
        foreach (var line in TextTable.Lines(["ID", "DATABASE", "AGE", "TIER", "STORED", "ON SERVER", "COPIES", "EXPECTED TIME", "STATE"], rows))
        {
            terminal.Line(line);
        }

        terminal.Line($"free at the target: {(document.FreeBytesAtTarget is { } free ? Sizes.Bytes(free) : "unknown (the server's disk can't be seen from here)")}");
    }

    private static async Task<long?> FreeBytesAsync(ConnectionSettings server, CancellationToken cancel)
    {
        try
        {
            await using var session = await Session.OpenAsync(server with { Database = "postgres" }, cancel);
            return await TargetSpace.FreeBytesAsync(session, cancel);
        }
        catch (BackupException)
        {
            return null;
        }
    }
}
