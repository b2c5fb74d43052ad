using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>What a physical backup has to know of a server before it begins.</summary>
internal sealed record ClusterFacts
{
    private const string Managed =
        """
        SELECT rolname::text FROM pg_roles
        WHERE rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin', 'alloydbsuperuser', 'aiven', 'neon_superuser') LIMIT 1
        """;

    private static readonly string[] ConfigurationSettings = ["config_file", "hba_file", "ident_file"];

    private ClusterFacts(IReadOnlyDictionary<string, string> settings) => Settings = settings;

    private IReadOnlyDictionary<string, string> Settings { get; }

    /// <summary>The data directory, or null where the role may not know it.</summary>
    public string? DataDirectory => Settings.GetValueOrDefault("data_directory");

    /// <summary>Bytes of a page.</summary>
    public int BlockBytes => Number("block_size");

    /// <summary>Pages of a full file of a relation (RELSEG_SIZE).</summary>
    public uint SegmentBlocks => (uint)Number("segment_size");

    public int WalSegmentBytes => Number("wal_segment_size");

    public bool PageChecksums => Settings.GetValueOrDefault("data_checksums") == "on";

    /// <summary>Configuration files as the server was told them: postgresql.conf, pg_hba.conf, pg_ident.conf.</summary>
    public IReadOnlyList<string> ConfigurationFiles =>
        ConfigurationSettings.Select(n => Settings.GetValueOrDefault(n)).OfType<string>().ToList();

    /// <summary>True when PostgreSQL itself hands its WAL to a command or a library.</summary>
    public bool Archives => Settings.GetValueOrDefault("archive_mode") != "off"
        && (Settings.GetValueOrDefault("archive_command", string.Empty).Length > 0
            || Settings.GetValueOrDefault("archive_library", string.Empty).Length > 0);

    /// <summary>Next transaction id with its epoch, as a snapshot sees it: what is older has begun.</summary>
    public static async Task<ulong> NextXidAsync(Session session, CancellationToken cancel) => ulong.Parse(
        (await session.TextAsync("SELECT pg_snapshot_xmax(pg_current_snapshot())::text", cancel))!, CultureInfo.InvariantCulture);

    /// <summary>As <see cref="NextXidAsync"/>, but surely above every transaction that has begun: takes a transaction id to know.</summary>
    public static async Task<ulong> NextXidSurelyAsync(Session session, CancellationToken cancel) => 1 + ulong.Parse(
        (await session.TextAsync("SELECT pg_current_xact_id()::text", cancel))!, CultureInfo.InvariantCulture);

    /// <summary>Asks the server, and refuses one that no physical backup can be made of.</summary>
    /// <exception cref="BackupException">It is a standby, a managed service, or its WAL is not enough.</exception>
    public static async Task<ClusterFacts> ReadAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            """
            SELECT name, setting FROM pg_settings
            WHERE name IN ('data_directory', 'block_size', 'segment_size', 'data_checksums', 'archive_mode', 'archive_command',
                           'archive_library', 'config_file', 'hba_file', 'ident_file', 'wal_level')
            UNION ALL SELECT 'wal_segment_size', pg_size_bytes(current_setting('wal_segment_size'))::text
            UNION ALL SELECT 'recovering', pg_is_in_recovery()::text
            """,
            static r => (Name: r.GetString(0), Value: r.IsDBNull(1) ? string.Empty : r.GetString(1)),
            cancel);
        var facts = new ClusterFacts(rows.ToDictionary(static r => r.Name, static r => r.Value));
        var server = session.Settings.Server;
        if (facts.Settings["recovering"] is "true" or "t")
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"{server} is a standby, of which this version makes no physical backups",
                "point DATABASE_HOST and DATABASE_PORT at the primary");
        }

        if (facts.Settings["wal_level"] == "minimal")
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"{server} has wal_level = minimal, with which no physical backup can be made",
                "set wal_level = replica and archive_mode = on (shbackup wal-archive generate-config), and restart the server");
        }

        return await session.TextAsync(Managed, cancel) is { } role && facts.DataDirectory is null
            ? throw new BackupException(
                ErrorKind.Configuration,
                $"{server} is a managed service (it has the role {role}), which lets nobody take its data files",
                "use shbackup backup (logical) there, beside the provider's own snapshots and point-in-time recovery")
            : facts;
    }

    private int Number(string name) => int.Parse(Settings[name], CultureInfo.InvariantCulture);
}
