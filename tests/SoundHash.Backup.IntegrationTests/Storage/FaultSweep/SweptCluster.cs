using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.IntegrationTests.Repository;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>
/// A cluster with small segments, a few of which wait to be archived, and files of a store with sets and WAL of it: what sweeps lay out
/// before every run.
/// </summary>
public sealed class SweptCluster : ArchivingCluster
{
    private readonly TempFolder _waiting = new("waiting");

    /// <inheritdoc/>
    public override string InitdbArguments => "--wal-segsize=1";

    /// <inheritdoc/>
    public override string Settings => $"{base.Settings}archive_command = 'true'\n";

    /// <summary>The database of the sets.</summary>
    public string Database { get; private set; } = string.Empty;

    /// <summary>Segments that wait to be archived, in order.</summary>
    public IReadOnlyList<string> Segments { get; private set; } = [];

    /// <summary>The first segment that the newer one of the base backups needs.</summary>
    public string Needed { get; private set; } = string.Empty;

    /// <summary>A data directory in which they wait, with the control file alone besides.</summary>
    public string Waiting => _waiting.Path;

    /// <summary>Sets of the database, to stay and to go, and what a run that was killed long ago has left.</summary>
    internal IReadOnlyList<SweptFile> Sets { get; private set; } = [];

    /// <summary>Two base backups of old, and all WAL since before them.</summary>
    internal IReadOnlyList<SweptFile> BaseBackups { get; private set; } = [];

    /// <summary>The WAL.</summary>
    internal IReadOnlyList<SweptFile> Wal { get; private set; } = [];

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Directory.CreateDirectory(Site);
        Database = await CreateDatabaseAsync("CREATE TABLE t AS SELECT generate_series(1, 100) AS n");
        var segments = new List<string> { await SwitchWalAsync() };
        segments.Add((await HandMadeSet.AddAsync(this, "base", SetEditor.Now.AddDays(-60))).Last);
        (Needed, var last) = await HandMadeSet.AddAsync(this, "second", SetEditor.Now.AddDays(-40));
        segments.AddRange([last, await SwitchWalAsync()]);
        Segments = [.. Directory.GetFiles(Path.Combine(DataDirectory, "pg_wal"), "0*").Select(static f => Path.GetFileName(f))
            .Where(f => f.Length == 24 && string.CompareOrdinal(f, segments[0]) >= 0 && string.CompareOrdinal(f, segments[^1]) <= 0).Order(StringComparer.Ordinal)];
        await Command.ShellAsync(
            $"""
            mkdir -p '{Waiting}/global' '{Waiting}/pg_wal/archive_status'
            cp '{DataDirectory}/global/pg_control' '{Waiting}/global'
            cd '{DataDirectory}/pg_wal'
            cp {string.Join(' ', Segments)} '{Waiting}/pg_wal'
            cd '{Waiting}/pg_wal/archive_status'
            touch {string.Join(' ', Segments.Select(static s => $"{s}.ready"))}
            """);
        await MakeFilesAsync();
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _waiting.Dispose();
    }

    private async Task MakeFilesAsync()
    {
        using var work = new Workspace(this, Database).Set("BACKUP_STATE_DIR", "./state").Set("BACKUP_WAL_DIR", "./wal");
        using var sample = new Sample(work, await work.BackupAsync());
        ListTests.CopySet(sample, "newest", SetEditor.Now.AddDays(-1));
        ListTests.CopySet(sample, "old", SetEditor.Now.AddDays(-40));
        ListTests.CopySet(sample, "older", SetEditor.Now.AddDays(-50));
        ListTests.CopySet(sample, "pinned", SetEditor.Now.AddDays(-60));
        Directory.Delete(sample.Folder, recursive: true);
        (await work.RunAsync("backup", "keep", "pinned")).Expect(0);
        var leftover = work.SetFolder("left");
        Directory.CreateDirectory(leftover);
        File.WriteAllText(Path.Combine(leftover, "intent.json"), """{"instance":"elsewhere","lock":"backup","host":"h","processId":1,"since":"2026-01-01T00:00:00Z"}""");
        File.WriteAllText(Path.Combine(leftover, "database.dump.zst"), "half");
        Sets = SweptFiles.Under(work.Folder, static _ => SetEditor.Now.AddDays(-2));

        Directory.Delete(Path.Combine(work.Repository, "sets"), recursive: true);
        await Command.ShellAsync($"cp -r \"{Site}/backups/sets\" '{work.Repository}'");
        foreach (var segment in Segments)
        {
            (await work.RunAsync("wal-archive", "push", Path.Combine(Waiting, "pg_wal", segment))).Expect(0);
        }

        BaseBackups = SweptFiles.Under(work.Folder, static _ => SetEditor.Now.AddDays(-50));
        Wal = BaseBackups.Where(static f => f.Key.StartsWith("wal/", StringComparison.Ordinal)).ToList();
    }
}

/// <summary>All sweeps use one such cluster, one after the other: each of them has lanes of its own.</summary>
[CollectionDefinition(Name)]
public sealed class SweptCollection : ICollectionFixture<SweptCluster>
{
    public const string Name = "fault sweep";
}
