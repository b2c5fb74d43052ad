namespace SoundHash.Backup.Configuration;

/// <summary>One setting. What it means is in docs/configuration.md, which a test compares with this list.</summary>
/// <param name="Name">The environment variable.</param>
/// <param name="Default">The default as it would be written, or null where there is none or it is computed.</param>
/// <param name="Secret">True masks the value everywhere and allows <c>NAME_FILE</c>.</param>
public sealed record Setting(string Name, string? Default = null, bool Secret = false);

/// <summary>Every setting that shbackup reads. A name that begins like ours and is not here is reported as unknown.</summary>
public static class SettingNames
{
    private const string Database = "DATABASE_";

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
        new("BACKUP_WAL_S3_PREFIX", "soundhash-wal/"),
        new("BACKUP_WAL_GCS_ENABLED", "false"),
        new("BACKUP_WAL_GCS_PREFIX", "soundhash-wal/"),
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
        new("BACKUP_S3_BUCKET"),
        new("BACKUP_S3_PREFIX", "soundhash-backups/"),
        new("BACKUP_S3_REGION"),
        new("BACKUP_S3_ENDPOINT"),
        new("BACKUP_S3_PROFILE"),
        new("BACKUP_S3_KMS_KEY"),
        new("BACKUP_S3_STORAGE_CLASS"),
        new("BACKUP_S3_OBJECT_LOCK"),
        new("BACKUP_S3_RETENTION_STANDARD_DAYS"),
        new("BACKUP_S3_RETENTION_EXTENDED_DAYS"),
        new("BACKUP_S3_RETENTION_ARCHIVE_DAYS"),
        new("BACKUP_GCS_ENABLED", "false"),
        new("BACKUP_GCS_BUCKET"),
        new("BACKUP_GCS_PREFIX", "soundhash-backups/"),
        new("BACKUP_GCS_KMS_KEY"),
        new("BACKUP_GCS_STORAGE_CLASS"),
        new("BACKUP_GCS_OBJECT_LOCK"),
        new("BACKUP_GCS_RETENTION_STANDARD_DAYS"),
        new("BACKUP_GCS_RETENTION_EXTENDED_DAYS"),
        new("BACKUP_GCS_RETENTION_ARCHIVE_DAYS"),
        new("BACKUP_CROSS_REGION_ENABLED", "false"),
        new("BACKUP_REQUIRED_COPIES"),
    ];

    /// <summary>
    /// Beginnings of names that belong to later versions, or to the application whose .env file we share. They are
    /// ignored in silence, unless they look like a misspelt setting of ours.
    /// </summary>
    public static IReadOnlyList<string> Later { get; } =
    [
        "BACKUP_WAL_ENABLED", "BACKUP_WAL_RETENTION_DAYS", "BACKUP_RESTORE_TEST_", "BACKUP_RTO_", "BACKUP_RPO_",
        "BACKUP_MAX_AGE_HOURS", "BACKUP_SCRATCH_DIR", "BACKUP_AUDIT_LOG", "BACKUP_METRICS_FILE", "BACKUP_DRILL_SQL",
    ];

    private const string FurtherStore = "BACKUP_STORE_";

    /// <summary>What the names of a further store's settings end with: <c>BACKUP_STORE_&lt;NAME&gt;_TYPE</c>.</summary>
    public static IReadOnlyList<string> FurtherStoreEndings { get; } =
    [
        "TYPE", "DIR", "BUCKET", "PREFIX", "REGION", "ENDPOINT", "PROFILE", "KMS_KEY", "WAL",
        "STORAGE_CLASS", "OBJECT_LOCK", "RETENTION_STANDARD_DAYS", "RETENTION_EXTENDED_DAYS", "RETENTION_ARCHIVE_DAYS",
    ];

    private static readonly HashSet<string> Known =
        [.. All.Select(static s => s.Name), .. All.Where(static s => s.Secret).Select(static s => $"{s.Name}_FILE")];

    /// <summary>The setting of a name, or null.</summary>
    public static Setting? Find(string name) => All.FirstOrDefault(s => s.Name == name);

    /// <summary>The name in capitals of the further store that a setting is of, or null.</summary>
    public static string? FurtherStoreOf(string setting) => setting.StartsWith(FurtherStore, StringComparison.Ordinal)
        && FurtherStoreEndings.FirstOrDefault(e => setting.EndsWith($"_{e}", StringComparison.Ordinal) && setting.Length > FurtherStore.Length + e.Length + 1) is { } ending
        && setting[FurtherStore.Length..^(ending.Length + 1)] is var name && name.All(static c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_')
            ? name
            : null;

    /// <summary>Names, and beginnings of names, of a database that other programs read and shbackup has no say in.</summary>
    public static IReadOnlyList<string> OfOthers { get; } =
    [
        "DATABASE_ADAPTER", "DATABASE_CACHE", "DATABASE_CHARSET", "DATABASE_CLIENT", "DATABASE_CONN_", "DATABASE_CONNECTION", "DATABASE_CONNECT_",
        "DATABASE_DEBUG", "DATABASE_DIALECT", "DATABASE_DRIVER", "DATABASE_ECHO", "DATABASE_ENCODING", "DATABASE_ENGINE", "DATABASE_IDLE_",
        "DATABASE_LOG", "DATABASE_MAX_", "DATABASE_MIGRAT", "DATABASE_MIN_", "DATABASE_POOL", "DATABASE_PREPARE", "DATABASE_QUERY_",
        "DATABASE_READ", "DATABASE_REPLICA", "DATABASE_RETR", "DATABASE_SCHEMA", "DATABASE_SEED", "DATABASE_STATEMENT_", "DATABASE_SYNC",
        "DATABASE_TEST", "DATABASE_TIMEOUT", "DATABASE_TYPE",
    ];

    // Of another program as often as of a slip of the pen: DATABASE_URI has its fellow in many.
    private static readonly string[] NoSlips = ["DATABASE_URI"];

    /// <summary>True when a name looks like one of ours and is none.</summary>
    public static bool IsUnknown(string name)
    {
        if (!IsLikeOurs(name) && !name.StartsWith(Database, StringComparison.OrdinalIgnoreCase) || Known.Contains(name) || FurtherStoreOf(name) is not null)
        {
            return false;
        }

        return Nearest(name) is not null || !Later.Concat(OfOthers).Any(l => name.StartsWith(l, StringComparison.Ordinal));
    }

    /// <summary>True when a name begins as only ours do; what begins with DATABASE_ may be of another program that we share a file with.</summary>
    public static bool IsLikeOurs(string name) => name.StartsWith("BACKUP_", StringComparison.OrdinalIgnoreCase);

    /// <summary>The known name that an unknown one was probably meant to be, or null.</summary>
    public static string? Nearest(string unknown) => NoSlips.Contains(unknown)
        ? null
        : Known.Select(k => (Name: k, Edits: Spelling.Edits(k, unknown.ToUpperInvariant())))
            .Where(static c => c.Edits <= MostEdits(c.Name))
            .OrderBy(static c => c.Edits)
            .Select(static c => c.Name)
            .FirstOrDefault();

    // Of a short word, two edits make any other: DATABASE_POOL is no DATABASE_PORT.
    private static int MostEdits(string name) =>
        name.StartsWith(Database, StringComparison.Ordinal) && name.Length - Database.Length < 6 ? 1 : 2;
}
