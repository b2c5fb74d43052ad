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
    public void A_slip_of_the_pen_is_an_error_that_says_what_was_meant(string written, string meant)
    {
        var e = Settings.OfEnvironment((written, "x")).Refused();

        Assert.Equal($"{written} is unknown; did you mean {meant}?", e.Message);
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
    [InlineData("BACKUP_S3_BUCKET")]
    [InlineData("BACKUP_GCS_PREFIX")]
    [InlineData("BACKUP_STORE_SECOND_TYPE")]
    [InlineData("BACKUP_RTO_MINUTES")]
    [InlineData("BACKUP_RESTORE_TEST_ENABLED")]
    [InlineData("BACKUP_CROSS_REGION_ENABLED")]
    [InlineData("BACKUP_REQUIRED_COPIES")]
    [InlineData("ALERTING_ENABLED")]
    [InlineData("SLACK_WEBHOOK_URL")]
    [InlineData("DATABASE_POOL_SIZE")]
    [InlineData("PATH")]
    public void Settings_of_other_capabilities_and_of_the_application_are_known(string name)
    {
        Assert.Empty(Settings.OfEnvironment((name, "x")).UnknownNames);
    }

    [Fact]
    public void Every_setting_knows_itself()
    {
        Assert.All(SettingNames.All, static s =>
        {
            Assert.Same(s, SettingNames.Find(s.Name));
            Assert.False(SettingNames.IsUnknown(s.Name));
            Assert.False(string.IsNullOrWhiteSpace(s.Meaning));
        });
        Assert.Equal(SettingNames.All.Count, SettingNames.All.DistinctBy(static s => s.Name).Count());
    }
}
