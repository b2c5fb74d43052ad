namespace SoundHash.Backup.Configuration;

/// <summary>One setting: its name, what it means, and its default where it has one.</summary>
/// <param name="Name">The environment variable.</param>
/// <param name="Meaning">One line for people.</param>
/// <param name="Default">The default as it would be written, or null.</param>
/// <param name="Secret">True masks the value everywhere and allows <c>NAME_FILE</c>.</param>
public sealed record Setting(string Name, string Meaning, string? Default = null, bool Secret = false);

/// <summary>Every setting that shbackup reads. A name that begins like ours and is not here is reported as unknown.</summary>
public static class SettingNames
{
    /// <summary>All settings, in the order of the documentation.</summary>
    public static IReadOnlyList<Setting> All { get; } =
    [
        new("DATABASE_HOST", "host name, address or socket directory of the server", "localhost"),
        new("DATABASE_PORT", "port of the server", "5432"),
        new("DATABASE_NAME", "database to back up and restore", "soundhash"),
        new("DATABASE_USER", "role to connect as; default: PGUSER, then the name of the user that runs shbackup"),
        new("DATABASE_PASSWORD", "password of that role", Secret: true),
        new("DATABASE_URL", "postgresql://user:password@host:port/database in place of the five above", Secret: true),
        new("BACKUP_DIR", "directory of the local store", "./backups"),
        new("BACKUP_CLUSTER", "name of the cluster; a folder below the store's root"),
        new("BACKUP_STATE_DIR", "locks and other local state", "BACKUP_DIR/state"),
        new("BACKUP_GROUP", "group that may read the local store"),
        new("BACKUP_ENCRYPTION_ENABLED", "true encrypts every object", "false"),
        new("BACKUP_ENCRYPTION_METHOD", "gpg or age", "gpg"),
        new("BACKUP_ENCRYPTION_KEY", "recipients, separated by commas: age1…, ssh-…, a recipients file, or gpg keys"),
        new("BACKUP_DECRYPTION_IDENTITY_FILE", "age identity files, separated by commas"),
        new("BACKUP_GPG_PASSPHRASE_FILE", "file with the passphrase of the gpg secret key"),
        new("BACKUP_COMPRESSION", "zstd, gzip or none", "zstd"),
        new("BACKUP_COMPRESSION_LEVEL", "zstd 1 to 19, gzip 1 to 9"),
        new("BACKUP_JOBS", "streams at once; default: cores, at most 4"),
        new("BACKUP_RATE_LIMIT", "most bytes per second read from the database or written to it, e.g. 50M"),
        new("BACKUP_RETENTION_DAYS", "days to keep sets of the standard tier when its own setting is absent", "30"),
        new("BACKUP_RETENTION_STANDARD_DAYS", "days to keep sets of the standard tier", "30"),
        new("BACKUP_RETENTION_EXTENDED_DAYS", "days to keep sets of the extended tier", "90"),
        new("BACKUP_RETENTION_ARCHIVE_DAYS", "days to keep sets of the archive tier", "365"),
        new("BACKUP_HOOK_PRE_BACKUP", "program to run before a backup; its failure stops the backup"),
        new("BACKUP_HOOK_POST_BACKUP", "program to run after a backup, also after a failed one"),
        new("BACKUP_HOOK_PRE_RESTORE", "program to run before a restore; its failure stops the restore"),
        new("BACKUP_HOOK_POST_RESTORE", "program to run after a restore, also after a failed one"),
        new("PG_BIN_DIR", "directory of PostgreSQL's client programs; default: found by themselves"),
        new("BACKUP_S3_ENABLED", "not in this version", "false"),
        new("BACKUP_GCS_ENABLED", "not in this version", "false"),
    ];

    // Names that belong to capabilities of other versions, or to the application whose .env file we share.
    private static readonly string[] Foreign =
    [
        "BACKUP_S3_", "BACKUP_GCS_", "BACKUP_WAL_", "BACKUP_STORE_", "BACKUP_CROSS_REGION_", "BACKUP_RESTORE_TEST_",
        "BACKUP_RTO_", "BACKUP_RPO_", "BACKUP_REQUIRED_COPIES", "BACKUP_MAX_AGE_HOURS", "BACKUP_SPOOL_DIR",
        "BACKUP_SCRATCH_DIR", "BACKUP_AUDIT_LOG", "BACKUP_METRICS_FILE", "BACKUP_DRILL_SQL", "BACKUP_LOCAL_ENABLED",
    ];

    /// <summary>The setting of a name, or null.</summary>
    public static Setting? Find(string name) => All.FirstOrDefault(s => s.Name == name);

    /// <summary>True when a name looks like one of ours and is none.</summary>
    public static bool IsUnknown(string name) =>
        name.StartsWith("BACKUP_", StringComparison.Ordinal)
        && Find(name) is null
        && !(name.EndsWith("_FILE", StringComparison.Ordinal) && Find(name[..^5]) is { Secret: true })
        && !Foreign.Any(f => name.StartsWith(f, StringComparison.Ordinal));

    /// <summary>The known name that an unknown one was probably meant to be (at most two letters differ), or null.</summary>
    public static string? Nearest(string unknown) =>
        All.Select(s => (s.Name, Distance: EditDistance(s.Name, unknown)))
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
