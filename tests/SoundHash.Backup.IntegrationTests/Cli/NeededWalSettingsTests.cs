using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Cli;

/// <summary>
/// As NeededSettingsTests, for what works with WAL and whole clusters: archiving and recovery go on whatever is wrong with settings that
/// they do not need.
/// </summary>
public sealed class NeededWalSettingsTests(BackedUpCluster site) : IClassFixture<BackedUpCluster>
{
    private const string Server = "DATABASE_HOST DATABASE_PORT DATABASE_NAME DATABASE_USER DATABASE_PASSWORD DATABASE_URL ";
    private const string Sets = "BACKUP_DIR BACKUP_CLUSTER BACKUP_LOCAL_ENABLED BACKUP_S3_ENABLED BACKUP_GCS_ENABLED ";
    private const string Wal = "BACKUP_WAL_DIR BACKUP_CLUSTER BACKUP_LOCAL_ENABLED BACKUP_WAL_S3_ENABLED BACKUP_WAL_GCS_ENABLED ";
    private const string Archives = Wal + "BACKUP_GROUP BACKUP_WAL_ARCHIVING_ENABLED BACKUP_REQUIRED_COPIES ";

    private const string Seals =
        "BACKUP_ENCRYPTION_ENABLED BACKUP_ENCRYPTION_METHOD BACKUP_ENCRYPTION_KEY BACKUP_COMPRESSION BACKUP_COMPRESSION_LEVEL ";

    private const string Retention =
        "BACKUP_RETENTION_DAYS BACKUP_RETENTION_STANDARD_DAYS BACKUP_RETENTION_EXTENDED_DAYS BACKUP_RETENTION_ARCHIVE_DAYS ";

    private const string MakesSets =
        Server + Sets + Archives + Seals + Retention +
        "BACKUP_STATE_DIR BACKUP_JOBS BACKUP_RATE_LIMIT PG_BIN_DIR " +
        "BACKUP_CROSS_REGION_ENABLED ";

    /// <summary>What each verb needs; a word in capitals without underscore stands for something of the site.</summary>
    public static TheoryData<string, string> Verbs => new()
    {
        { "wal-archive push pg_wal/SEGMENT", Archives + Seals + "BACKUP_SPOOL_DIR BACKUP_JOBS" },
        { "wal-archive fetch SEGMENT pg_wal/RECOVERYXLOG", Wal },
        { "wal-archive list", Sets + Wal },
        { "wal-archive status", Server + Sets + Wal },
        { "wal-archive verify", Sets + Wal + "BACKUP_JOBS BACKUP_RATE_LIMIT" },
        { "wal-archive verify --repair", Sets + Wal + Seals + "BACKUP_STATE_DIR BACKUP_GROUP BACKUP_JOBS BACKUP_RATE_LIMIT" },
        { "wal-archive cleanup", Sets + Wal + "BACKUP_RETENTION_DAYS BACKUP_RETENTION_STANDARD_DAYS BACKUP_STATE_DIR BACKUP_GROUP BACKUP_JOBS BACKUP_RATE_LIMIT" },
        { "wal-archive generate-config", Server + Archives + "BACKUP_SPOOL_DIR" },
        { "wal-archive receive --slot none --drop-slot", Server + Sets + Archives + Seals + "BACKUP_SPOOL_DIR BACKUP_JOBS" },
        { "backup --kind physical", MakesSets + "BACKUP_HOOK_PRE_BACKUP BACKUP_HOOK_POST_BACKUP " },
        { "backup --kind physical --dry-run", MakesSets },
        { "restore --target-dir NEW --plan", Sets + Wal + "DATABASE_USER BACKUP_JOBS PG_BIN_DIR BACKUP_SPOOL_DIR" },
        {
            "restore --target-dir NEW",
            Sets + Wal + "DATABASE_USER BACKUP_JOBS BACKUP_RATE_LIMIT PG_BIN_DIR BACKUP_SPOOL_DIR BACKUP_HOOK_PRE_RESTORE BACKUP_HOOK_POST_RESTORE"
        },
    };

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task A_verb_is_not_stopped_by_settings_that_it_does_not_need(string verb, string needed)
    {
        using var folder = new TempFolder("settings");
        (await RunAsync(folder, verb, WrongSettings.Besides(needed))).Expect(0);
    }

    [Theory]
    [InlineData("wal-archive push pg_wal/SEGMENT", "BACKUP_COMPRESSION", 3)]
    [InlineData("wal-archive fetch SEGMENT pg_wal/RECOVERYXLOG", "BACKUP_CLUSTER", 200)]
    [InlineData("wal-archive verify", "BACKUP_JOBS", 3)]
    [InlineData("backup --kind physical", "BACKUP_WAL_S3_ENABLED", 3)]
    [InlineData("restore --target-dir NEW", "BACKUP_RATE_LIMIT", 3)]
    public async Task A_verb_is_stopped_by_a_setting_that_it_needs(string verb, string setting, int code)
    {
        using var folder = new TempFolder("settings");
        (await RunAsync(folder, verb, WrongSettings.All.Where(w => w.Key == setting))).Expect(code).Says(setting);
    }

    /// <summary>Nothing but the archive is named, and nothing can be made beside the settings.</summary>
    [Fact]
    public async Task A_recovery_needs_to_be_told_only_where_the_archive_is()
    {
        using var folder = new TempFolder("settings");
        await MakeAsync(folder, [$"BACKUP_WAL_DIR=\"{site.Archive}\""]);
        await Command.ShellAsync($"chown root: '{folder.Path}'; chmod 755 '{folder.Path}'");

        (await ArchivingCluster.RunInAsync(folder["data"], "wal-archive", "fetch", site.Segment, "pg_wal/RECOVERYXLOG", "--env-file", folder[".env"])).Expect(0);

        await Command.ShellAsync($"cmp '{folder["data/pg_wal/RECOVERYXLOG"]}' '{site.DataDirectory}/pg_wal/{site.Segment}'");
    }

    [Fact]
    public async Task A_recovery_is_told_what_keeps_it_from_fetching_ahead()
    {
        using var folder = new TempFolder("settings");
        (await RunAsync(folder, "wal-archive fetch SEGMENT pg_wal/RECOVERYXLOG", WrongSettings.All.Where(static w => w.Key == "BACKUP_JOBS")))
            .Expect(0).Says("segments can't be fetched ahead: BACKUP_JOBS='many'");
    }

    private async Task<CommandResult> RunAsync(TempFolder folder, string verb, IEnumerable<KeyValuePair<string, string>> wrong)
    {
        var values = wrong.ToDictionary();
        var right = File.ReadAllLines(site.EnvFile).Where(l => !values.ContainsKey(l.Split('=')[0]));
        await MakeAsync(folder, right.Concat(values.Select(static v => $"{v.Key}={v.Value}")));
        var words = verb.Replace("SEGMENT", site.Segment, StringComparison.Ordinal).Replace("NEW", folder["new"], StringComparison.Ordinal).Split(' ');
        // A recovery has a data directory of its own.
        return await ArchivingCluster.RunInAsync(verb.Contains("fetch", StringComparison.Ordinal) ? folder["data"] : site.DataDirectory, [.. words, "--env-file", folder[".env"]]);
    }

    private async Task MakeAsync(TempFolder folder, IEnumerable<string> settings)
    {
        await File.WriteAllLinesAsync(folder[".env"], settings, TestContext.Current.CancellationToken);
        await Command.ShellAsync($"mkdir -p '{folder["data/global"]}' '{folder["data/pg_wal"]}'; cp '{site.DataDirectory}/global/pg_control' '{folder["data/global"]}'");
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
    }
}
