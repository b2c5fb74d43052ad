using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads how long the sets of each tier are kept.</summary>
public static class RetentionConfiguration
{
    private const int MostDays = 36_500;

    /// <summary>Reads it; problems are left in the reader. Zero days is refused: nothing may expire as it is made.</summary>
    public static RetentionDays Read(SettingsReader settings) => new(
        (settings.Given("BACKUP_RETENTION_STANDARD_DAYS") is null
            ? settings.Number("BACKUP_RETENTION_DAYS", 1, MostDays)
            : settings.Number("BACKUP_RETENTION_STANDARD_DAYS", 1, MostDays)) ?? 30,
        settings.Number("BACKUP_RETENTION_EXTENDED_DAYS", 1, MostDays) ?? 90,
        settings.Number("BACKUP_RETENTION_ARCHIVE_DAYS", 1, MostDays) ?? 365);
}
