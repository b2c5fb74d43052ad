using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads how long the sets of each tier are kept.</summary>
public static class RetentionConfiguration
{
    private const int MostDays = 36_500;

    /// <summary>Reads it; problems are left in the reader. Zero days is refused: nothing may expire as it is made.</summary>
    /// <param name="settings">The settings.</param>
    /// <param name="stores">The stores that are used; each may keep sets for a time of its own.</param>
    public static StoreRetention Read(SettingsReader settings, IEnumerable<StoreSettings> stores)
    {
        var general = new RetentionDays(
            ReadStandard(settings), Days(settings, "BACKUP_RETENTION_EXTENDED_DAYS"), Days(settings, "BACKUP_RETENTION_ARCHIVE_DAYS"));
        // The settings of the store "local" are the general ones.
        return new StoreRetention(general, stores.Where(static s => s.Name != StoreSettings.Local).ToDictionary(static s => s.Name, s => new RetentionDays(
            OwnDays(settings, s, "STANDARD") ?? general.Standard,
            OwnDays(settings, s, "EXTENDED") ?? general.Extended,
            OwnDays(settings, s, "ARCHIVE") ?? general.Archive)));
    }

    /// <summary>Days of tier standard alone, which are also the recovery window; problems are left in the reader.</summary>
    /// <param name="settings">The settings.</param>
    /// <param name="store">The store of which; null for those without a time of their own.</param>
    public static int ReadStandard(SettingsReader settings, StoreSettings? store = null) =>
        (store is null or { Name: StoreSettings.Local } ? null : OwnDays(settings, store, "STANDARD")) ?? (settings.Given("BACKUP_RETENTION_STANDARD_DAYS") is null
            ? Days(settings, "BACKUP_RETENTION_DAYS")
            : Days(settings, "BACKUP_RETENTION_STANDARD_DAYS"));

    private static int? OwnDays(SettingsReader settings, StoreSettings store, string tier) =>
        settings.Number(store.SettingOf($"RETENTION_{tier}_DAYS"), 1, MostDays);

    // A number that makes no sense is a problem; until somebody looks at it, nothing expires.
    private static int Days(SettingsReader settings, string name) => settings.Number(name, 1, MostDays) ?? MostDays;
}
