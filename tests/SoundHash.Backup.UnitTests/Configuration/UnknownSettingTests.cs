using SoundHash.Backup.Configuration;

namespace SoundHash.Backup.UnitTests.Configuration;

/// <summary>Names that look like ours and are none.</summary>
public sealed class UnknownSettingTests
{
    [Theory]
    [InlineData("BACKUP_ENCRYPTION_ENABLE", "BACKUP_ENCRYPTION_ENABLED")]
    [InlineData("BACKUP_ENCYRPTION_ENABLED", "BACKUP_ENCRYPTION_ENABLED")]
    [InlineData("BACKUP_RETENTION_DAY", "BACKUP_RETENTION_DAYS")]
    [InlineData("BACKUP_DIRR", "BACKUP_DIR")]
    [InlineData("BACKUP_ENCRYPTION_KEYS", "BACKUP_ENCRYPTION_KEY")]
    [InlineData("backup_encryption_enabled", "BACKUP_ENCRYPTION_ENABLED")]
    [InlineData("Backup_Dir", "BACKUP_DIR")]
    [InlineData("BACKUP_S3_ENABLE", "BACKUP_S3_ENABLED")]
    [InlineData("BACKUP_GCS_ENABELD", "BACKUP_GCS_ENABLED")]
    [InlineData("DATABASE_PROT", "DATABASE_PORT")]
    [InlineData("DATABASE_HOTS", "DATABASE_HOST")]
    [InlineData("DATABASE_NMAE", "DATABASE_NAME")]
    [InlineData("DATABASE_USR", "DATABASE_USER")]
    [InlineData("DATABASE_ULR", "DATABASE_URL")]
    [InlineData("DATABASE_PASWORD", "DATABASE_PASSWORD")]
    [InlineData("DATABASE_PASSWORD_FIEL", "DATABASE_PASSWORD_FILE")]
    [InlineData("database_port", "DATABASE_PORT")]
    public void A_slip_of_the_pen_is_an_error_that_says_what_was_meant(string written, string meant)
    {
        var settings = Settings.OfEnvironment((written, "x"));
        settings.Text(meant);

        Assert.Equal($"{written} is unknown; did you mean {meant}?", settings.Refused().Message);
    }

    [Fact]
    public void A_slip_in_a_setting_that_the_verb_does_not_need_stops_nothing()
    {
        var settings = Settings.OfEnvironment(("BACKUP_ENCRYPTION_ENABLE", "true"));
        settings.Text("BACKUP_DIR");

        Assert.Equal(["BACKUP_ENCRYPTION_ENABLE"], settings.UnknownNames);
        settings.ThrowIfInvalid();
    }

    [Fact]
    public void An_unknown_name_is_told_once_as_ignored_or_as_an_error()
    {
        var warnings = new List<string>();
        var settings = new SettingsReader([], new Dictionary<string, string> { ["BACKUP_ENCRYPTION_ENABLE"] = "true" }, null, warnings.Add);
        settings.Text("BACKUP_DIR");

        settings.ThrowIfInvalid();
        settings.ThrowIfInvalid();
        Assert.Equal("unknown setting BACKUP_ENCRYPTION_ENABLE is ignored", Assert.Single(warnings));

        var refused = new SettingsReader([], new Dictionary<string, string> { ["BACKUP_ENCRYPTION_ENABLE"] = "true" }, null, warnings.Add);
        refused.Text("BACKUP_ENCRYPTION_ENABLED");

        Assert.Contains("did you mean", refused.Refused().Message, StringComparison.Ordinal);
        Assert.Single(warnings);
    }

    [Fact]
    public void A_slip_in_a_setting_that_a_flag_gives_stops_nothing()
    {
        var settings = Settings.Of([("BACKUP_JOBS", "2")], [("BACKUP_JOB", "3")], null);
        settings.Text("BACKUP_JOBS");

        settings.ThrowIfInvalid();
    }

    [Fact]
    public void Other_unknown_names_are_told_and_stop_nothing()
    {
        using var folder = new TempFolder();
        var settings = Settings.OfFile(folder.Write(".env", "BACKUP_COLOUR_SCHEME=dark\n"), ("BACKUP_A_LONG_STORY", "x"));

        Assert.Equal(["BACKUP_A_LONG_STORY", "BACKUP_COLOUR_SCHEME"], settings.UnknownNames);
        settings.ThrowIfInvalid();
    }

    [Theory]
    [InlineData("BACKUP_WAL_DIR")]
    [InlineData("BACKUP_WAL_ENABLED")]
    [InlineData("BACKUP_WAL_S3_ENABLED")]
    [InlineData("BACKUP_WAL_GCS_PREFIX")]
    [InlineData("BACKUP_WAL_RETENTION_DAYS")]
    [InlineData("BACKUP_S3_BUCKET")]
    [InlineData("BACKUP_S3_PREFIX")]
    [InlineData("BACKUP_S3_REGION")]
    [InlineData("BACKUP_S3_STORAGE_CLASS")]
    [InlineData("BACKUP_S3_RETENTION_STANDARD_DAYS")]
    [InlineData("BACKUP_GCS_BUCKET")]
    [InlineData("BACKUP_GCS_PREFIX")]
    [InlineData("BACKUP_STORE_SECOND_TYPE")]
    [InlineData("BACKUP_RTO_MINUTES")]
    [InlineData("BACKUP_RPO_MINUTES")]
    [InlineData("BACKUP_RESTORE_TEST_ENABLED")]
    [InlineData("BACKUP_CROSS_REGION_ENABLED")]
    [InlineData("BACKUP_REQUIRED_COPIES")]
    [InlineData("BACKUP_MAX_AGE_HOURS")]
    [InlineData("BACKUP_SPOOL_DIR")]
    [InlineData("BACKUP_SCRATCH_DIR")]
    [InlineData("BACKUP_AUDIT_LOG")]
    [InlineData("BACKUP_METRICS_FILE")]
    [InlineData("BACKUP_DRILL_SQL")]
    [InlineData("ALERTING_ENABLED")]
    [InlineData("SLACK_WEBHOOK_URL")]
    [InlineData("DATABASE_POOL_SIZE")]
    [InlineData("DATABASE_POOL")]
    [InlineData("DATABASE_MAX_CONNECTIONS")]
    [InlineData("DATABASE_TEST")]
    [InlineData("DATABASE_ECHO")]
    [InlineData("PATH")]
    public void Settings_of_other_capabilities_and_of_the_application_are_known(string name)
    {
        var settings = Settings.OfEnvironment((name, "x"));
        foreach (var setting in SettingNames.All)
        {
            settings.Text(setting.Name);
        }

        Assert.Empty(settings.UnknownNames);
        settings.ThrowIfInvalid();
    }

    // A misspelt one must not mean another server than was meant; a common one is none of ours.
    [Theory]
    [InlineData("DATABASE_USERNAME")]
    [InlineData("DATABASE_SSLMODE")]
    [InlineData("DATABASE_URI")]
    [InlineData("DATABASE_PASS")]
    [InlineData("DATABASE_ENCRYPTION_KEY")]
    public void Other_names_of_a_database_are_told_and_stop_nothing(string name)
    {
        var warnings = new List<string>();
        var settings = new SettingsReader([], new Dictionary<string, string> { [name] = "x" }, null, warnings.Add);
        DatabaseConfiguration.Read(settings);
        EncryptionConfiguration.Read(settings);

        settings.ThrowIfInvalid();

        Assert.Equal($"unknown setting {name} is ignored", Assert.Single(warnings));
    }

    [Fact]
    public void Every_setting_knows_itself()
    {
        Assert.All(SettingNames.All, static s =>
        {
            Assert.Same(s, SettingNames.Find(s.Name));
            Assert.False(SettingNames.IsUnknown(s.Name));
        });
        Assert.Equal(SettingNames.All.Count, SettingNames.All.DistinctBy(static s => s.Name).Count());
    }
}
