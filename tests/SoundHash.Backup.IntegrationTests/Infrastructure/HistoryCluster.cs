using System.Text.Json;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A row that a transaction of its own added, and what tells that transaction.</summary>
/// <param name="Number">The row: 1, 2, 3 and so on.</param>
/// <param name="Xid">The transaction.</param>
/// <param name="Time">Its commit time, with its zone.</param>
/// <param name="Lsn">The end of the WAL after it.</param>
public sealed record Marker(int Number, string Xid, string Time, string Lsn);

/// <summary>
/// An archiving cluster with a tablespace, old recovery settings, one physical set, and marker rows that were committed after it,
/// all archived. Nothing of it is changed by the tests.
/// </summary>
public sealed class HistoryCluster : ArchivingCluster
{
    /// <summary>Rows that are in the set.</summary>
    public const int Before = 2;

    /// <summary>Rows in all.</summary>
    public const int Last = 7;

    // An old target in postgresql.conf, which a base backup takes along.
    public override string Settings => base.Settings + "track_commit_timestamp = on\nrecovery_target_xid = '1234'\n";

    public IReadOnlyList<Marker> Markers { get; private set; } = [];

    public string Set { get; private set; } = string.Empty;

    public string Space => Path.Combine(Host, "space");

    public string SetFolder => Path.Combine(Site, "backups", "sets", Set);

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await StartArchivingAsync();
        Directory.CreateDirectory(Space);
        await GiveToPostgresAsync(Space);
        await ExecuteAsync("postgres", $"CREATE TABLESPACE apart LOCATION '{Space}'");
        foreach (var old in (string[])["recovery_target_name = 'stale'", "recovery_target_action = 'shutdown'", "primary_conninfo = 'host=stale'"])
        {
            await ExecuteAsync("postgres", $"ALTER SYSTEM SET {old}");
        }

        await ExecuteAsync(
            "postgres",
            "CREATE TABLE marker (n int) TABLESPACE apart; CREATE TABLE bulk AS SELECT g AS id, repeat(md5(g::text), 8) AS t FROM generate_series(1, 20000) g");
        var markers = new List<Marker>();
        for (var number = 1; number <= Before; number++)
        {
            markers.Add(await AddAsync(number));
        }

        Set = Id(await RunAsync("backup", "--kind", "physical", "--jobs", "2", "--env-file", EnvFile, "--json"));
        for (var number = Before + 1; number <= Last; number++)
        {
            markers.Add(await AddAsync(number));
            await ExecuteAsync("postgres", $"SELECT pg_create_restore_point('after {number}')");
        }

        Markers = markers;
        await ArchivedAsync(await SwitchWalAsync());
    }

    /// <summary>The marker of a number.</summary>
    public Marker this[int number] => Markers[number - 1];

    /// <summary>Restores into a place, with the tablespace beside it, as PostgreSQL's user.</summary>
    public Task<CommandResult> RestoreAsync(RestoredServer place, params string[] arguments) => RestoreAsync(EnvFile, place, arguments);

    /// <summary>As above, with other settings.</summary>
    public Task<CommandResult> RestoreAsync(string envFile, RestoredServer place, params string[] arguments) => RunAsync(
        ["restore", "--target-dir", place.Data, "--tablespace", $"apart={place.Folder}/space", "--env-file", envFile, .. arguments]);

    /// <summary>The id of the set that a backup with --json made.</summary>
    public static string Id(CommandResult backup)
    {
        using var document = JsonDocument.Parse(backup.Expect(0).Output);
        return document.RootElement.GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!;
    }

    private async Task<Marker> AddAsync(int number)
    {
        var xid = (await TextAsync("postgres", $"INSERT INTO marker VALUES ({number}) RETURNING pg_current_xact_id()::text"))!;
        var time = await TextAsync(
            "postgres", $"SELECT to_char(pg_xact_commit_timestamp('{xid}'::xid) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z'");
        var lsn = await TextAsync("postgres", "SELECT pg_current_wal_lsn()::text");
        return new Marker(number, xid, time!, lsn!);
    }
}
