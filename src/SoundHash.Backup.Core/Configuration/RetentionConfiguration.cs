using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads how long the sets of each tier are kept.</summary>
public static class RetentionConfiguration
{
    private const int MostDays = 36_500;

    /// <summary>Reads it; problems are left in the reader. Zero days is refused: nothing may expire as it is made.</summary>
    public static RetentionDays Read(SettingsReader settings) => new(
        ReadStandard(settings),
        Days(settings, "BACKUP_RETENTION_EXTENDED_DAYS"),
        Days(settings, "BACKUP_RETENTION_ARCHIVE_DAYS"));

    /// <summary>Days of tier standard alone, which are also the recovery window; problems are left in the reader.</summary>
    public static int ReadStandard(SettingsReader settings) => settings.Given("BACKUP_RETENTION_STANDARD_DAYS") is null
        ? Days(settings, "BACKUP_RETENTION_DAYS")
        : Days(settings, "BACKUP_RETENTION_STANDARD_DAYS");

    // A number that makes no sense is a problem; until somebody looks at it, nothing expires.
    private static int Days(SettingsReader settings, string name) => settings.Number(name, 1, MostDays) ?? MostDays;
}
