using SoundHash.Backup.Configuration;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Cli;

/// <summary>A setting that a verb does not need can't stop that verb: here all of those are wrong at once.</summary>
public sealed class NeededSettingsTests(PostgresCluster cluster, Samples samples)
{
    private const string Store = "BACKUP_DIR BACKUP_CLUSTER BACKUP_LOCAL_ENABLED BACKUP_S3_ENABLED BACKUP_GCS_ENABLED ";
    // Whether a base backup is good depends on its WAL, wherever that is.
    private const string Wal = "BACKUP_WAL_S3_ENABLED BACKUP_WAL_GCS_ENABLED ";
    private const string Server = "DATABASE_HOST DATABASE_PORT DATABASE_NAME DATABASE_USER DATABASE_PASSWORD DATABASE_URL ";
    private const string Keys = "BACKUP_DECRYPTION_IDENTITY_FILE BACKUP_GPG_PASSPHRASE_FILE ";
    private const string Work = "BACKUP_JOBS BACKUP_RATE_LIMIT PG_BIN_DIR ";
    private const string AfterRestore = "BACKUP_HOOK_PRE_RESTORE BACKUP_HOOK_POST_RESTORE ";

    private const string Retention =
        "BACKUP_RETENTION_DAYS BACKUP_RETENTION_STANDARD_DAYS BACKUP_RETENTION_EXTENDED_DAYS BACKUP_RETENTION_ARCHIVE_DAYS ";

    private const string MakesSets =
        Server + Store + Work + Retention +
        "BACKUP_STATE_DIR BACKUP_GROUP BACKUP_ENCRYPTION_ENABLED BACKUP_ENCRYPTION_METHOD BACKUP_ENCRYPTION_KEY BACKUP_COMPRESSION BACKUP_COMPRESSION_LEVEL " +
        "BACKUP_CROSS_REGION_ENABLED BACKUP_REQUIRED_COPIES ";

    /// <summary>What each verb needs; a word in capitals without underscore stands for something of the sample.</summary>
    public static TheoryData<string, string> Verbs => new()
    {
        { "backup", MakesSets + "BACKUP_HOOK_PRE_BACKUP BACKUP_HOOK_POST_BACKUP " },
        { "backup --dry-run", MakesSets },
        { "backup list", Store + Retention },
        { "backup show SET", Store + Retention },
        { "backup verify --all", Store + Wal + "BACKUP_JOBS BACKUP_RATE_LIMIT" },
        { "backup verify SET --deep", Store + Wal + Work + Keys },
        { "backup expire", Store + Wal + Retention + "BACKUP_STATE_DIR BACKUP_GROUP BACKUP_JOBS BACKUP_RATE_LIMIT" },
        { "backup keep SET", Store + "BACKUP_GROUP" },
        { "backup unkeep SET", Store + "BACKUP_GROUP" },
        { "restore --list", Store + Retention },
        { "restore --latest --plan --target-db NEW", Server + Store + Keys + "BACKUP_JOBS PG_BIN_DIR BACKUP_RATE_LIMIT" },
        { "restore --latest --target-db NEW", Server + Store + Keys + Work + AfterRestore },
        { "restore --file DUMP --target-db NEW", Server + Keys + Work + AfterRestore },
        { "encrypt FILE --key KEY", "BACKUP_RATE_LIMIT" },
        { "decrypt DUMP --output OUT", Keys + "BACKUP_RATE_LIMIT" },
    };

    [Fact]
    public void Every_setting_has_a_wrong_value_here() => Assert.All(SettingNames.All, static s => Assert.Contains(s.Name, WrongSettings.All.Keys));

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task A_verb_is_not_stopped_by_settings_that_it_does_not_need(string verb, string needed)
    {
        using var sample = await samples.SmallAsync(cluster, "age");
        var work = sample.Work;
        var words = new Dictionary<string, string>
        {
            ["SET"] = sample.Id,
            ["NEW"] = RestoreHelp.NewName(),
            ["DUMP"] = sample.Edit()[sample.Edit().Key("dump")],
            ["FILE"] = Path.Combine(work.Folder, "file"),
            ["OUT"] = Path.Combine(work.Folder, "out"),
            ["KEY"] = (await Command.ShellAsync($"age-keygen -y '{work.IdentityFile}'")).Output.Trim(),
        };
        await File.WriteAllTextAsync(words["FILE"], "content", TestContext.Current.CancellationToken);
        foreach (var (name, value) in WrongSettings.Besides(needed))
        {
            work.Set(name, value);
        }

        (await work.RunAsync([.. verb.Split(' ').Select(w => words.GetValueOrDefault(w, w))])).Expect(0);
    }

    [Theory]
    [InlineData("backup list", "BACKUP_RETENTION_ARCHIVE_DAYS")]
    [InlineData("backup", "BACKUP_S3_ENABLED")]
    [InlineData("backup", "BACKUP_CROSS_REGION_ENABLED")]
    [InlineData("backup", "BACKUP_ENCRYPTION_ENABLE")]
    [InlineData("restore --latest", "DATABASE_PORT")]
    [InlineData("backup verify --all", "BACKUP_RATE_LIMIT")]
    public async Task A_verb_is_stopped_by_a_setting_that_it_needs(string verb, string setting)
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.Set(setting, WrongSettings.All[setting]);

        (await sample.Work.RunAsync(verb.Split(' '))).Expect(3).Says(setting).Says("hint: correct the environment or ");
    }
}
