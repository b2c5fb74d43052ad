namespace SoundHash.Backup.Configuration;

/// <summary>One setting. What it means is in docs/configuration.md, which a test compares with this list.</summary>
/// <param name="Name">The environment variable.</param>
/// <param name="Default">The default as it would be written, or null where there is none or it is computed.</param>
/// <param name="Secret">True masks the value everywhere and allows <c>NAME_FILE</c>.</param>
public sealed record Setting(string Name, string? Default = null, bool Secret = false);

/// <summary>Every setting that shbackup reads. A name that begins like ours and is not here is reported as unknown.</summary>
public static class SettingNames
{
    /// <summary>All settings, in the order of the documentation.</summary>
    public static IReadOnlyList<Setting> All { get; } =
    [
        new("DATABASE_HOST", "localhost"),
        new("DATABASE_PORT", "5432"),
        new("DATABASE_NAME", "soundhash"),
        new("DATABASE_USER"),
        new("DATABASE_PASSWORD", Secret: true),
        new("DATABASE_URL", Secret: true),
        new("BACKUP_DIR", "./backups"),
        new("BACKUP_CLUSTER"),
        new("BACKUP_STATE_DIR"),
        new("BACKUP_GROUP"),
        new("BACKUP_WAL_ARCHIVING_ENABLED", "false"),
        new("BACKUP_WAL_DIR"),
        new("BACKUP_WAL_S3_ENABLED", "false"),
        new("BACKUP_WAL_GCS_ENABLED", "false"),
        new("BACKUP_SPOOL_DIR"),
        new("BACKUP_ENCRYPTION_ENABLED", "false"),
        new("BACKUP_ENCRYPTION_METHOD", "gpg"),
        new("BACKUP_ENCRYPTION_KEY"),
        new("BACKUP_DECRYPTION_IDENTITY_FILE"),
        new("BACKUP_GPG_PASSPHRASE_FILE"),
        new("BACKUP_COMPRESSION", "zstd"),
        new("BACKUP_COMPRESSION_LEVEL"),
        new("BACKUP_JOBS"),
        new("BACKUP_RATE_LIMIT"),
        new("BACKUP_RETENTION_DAYS", "30"),
        new("BACKUP_RETENTION_STANDARD_DAYS"),
        new("BACKUP_RETENTION_EXTENDED_DAYS", "90"),
        new("BACKUP_RETENTION_ARCHIVE_DAYS", "365"),
        new("BACKUP_HOOK_PRE_BACKUP"),
        new("BACKUP_HOOK_PRE_RESTORE"),
        new("BACKUP_HOOK_POST_BACKUP"),
        new("BACKUP_HOOK_POST_RESTORE"),
        new("PG_BIN_DIR"),
        new("BACKUP_LOCAL_ENABLED", "true"),
        new("BACKUP_S3_ENABLED", "false"),
        new("BACKUP_GCS_ENABLED", "false"),
        new("BACKUP_CROSS_REGION_ENABLED", "false"),
        new("BACKUP_REQUIRED_COPIES"),
    ];

    /// <summary>
    /// Beginnings of names that belong to later versions, or to the application whose .env file we share. They are
    /// ignored in silence, unless they look like a misspelt setting of ours.
    /// </summary>
    public static IReadOnlyList<string> Later { get; } =
    [
        "BACKUP_S3_", "BACKUP_GCS_", "BACKUP_WAL_", "BACKUP_STORE_", "BACKUP_RESTORE_TEST_", "BACKUP_RTO_", "BACKUP_RPO_",
        "BACKUP_MAX_AGE_HOURS", "BACKUP_SCRATCH_DIR", "BACKUP_AUDIT_LOG", "BACKUP_METRICS_FILE", "BACKUP_DRILL_SQL",
    ];

    /// <summary>The setting of a name, or null.</summary>
    public static Setting? Find(string name) => All.FirstOrDefault(s => s.Name == name);

    /// <summary>True when a name looks like one of ours and is none.</summary>
    public static bool IsUnknown(string name) =>
        name.StartsWith("BACKUP_", StringComparison.OrdinalIgnoreCase)
        && Find(name) is null
        && !(name.EndsWith("_FILE", StringComparison.Ordinal) && Find(name[..^5]) is { Secret: true })
        && (Nearest(name) is not null || !Later.Any(l => name.StartsWith(l, StringComparison.Ordinal)));

    /// <summary>The known name that an unknown one was probably meant to be (at most two letters differ), or null.</summary>
    public static string? Nearest(string unknown) =>
        All.Select(s => (s.Name, Distance: EditDistance(s.Name, unknown.ToUpperInvariant())))
            .Where(static c => c.Distance <= 2)
            .OrderBy(static c => c.Distance)
            .Select(static c => c.Name)
            .FirstOrDefault();

    // Levenshtein, one row at a time.
    private static int EditDistance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
