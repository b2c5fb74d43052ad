namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>Settings as no verb can use them.</summary>
public static class WrongSettings
{
    /// <summary>A wrong value of every setting, and of some names that are none.</summary>
    public static IReadOnlyDictionary<string, string> All { get; } = new Dictionary<string, string>
    {
        ["DATABASE_HOST"] = "/nowhere",
        ["DATABASE_PORT"] = "x",
        ["DATABASE_NAME"] = "no_such_database",
        ["DATABASE_USER"] = "no_such_role",
        ["DATABASE_PASSWORD"] = "wrong",
        ["DATABASE_URL"] = "nonsense",
        ["BACKUP_DIR"] = "/dev/null/backups",
        ["BACKUP_CLUSTER"] = "no/name",
        ["BACKUP_STATE_DIR"] = "/dev/null/state",
        ["BACKUP_GROUP"] = "no-such-group",
        ["BACKUP_WAL_ARCHIVING_ENABLED"] = "perhaps",
        ["BACKUP_WAL_DIR"] = "/dev/null/wal",
        ["BACKUP_WAL_S3_ENABLED"] = "true",
        ["BACKUP_WAL_S3_PREFIX"] = "a//b",
        ["BACKUP_WAL_GCS_ENABLED"] = "true",
        ["BACKUP_WAL_GCS_PREFIX"] = "a//b",
        ["BACKUP_SPOOL_DIR"] = "/dev/null/spool",
        ["BACKUP_ENCRYPTION_ENABLED"] = "maybe",
        ["BACKUP_ENCRYPTION_METHOD"] = "rot13",
        ["BACKUP_ENCRYPTION_KEY"] = "/nowhere/key",
        ["BACKUP_DECRYPTION_IDENTITY_FILE"] = "/nowhere/identity",
        ["BACKUP_GPG_PASSPHRASE_FILE"] = "/nowhere/passphrase",
        ["BACKUP_COMPRESSION"] = "rot13",
        ["BACKUP_COMPRESSION_LEVEL"] = "99",
        ["BACKUP_JOBS"] = "many",
        ["BACKUP_RATE_LIMIT"] = "fast",
        ["BACKUP_RETENTION_DAYS"] = "never",
        ["BACKUP_RETENTION_STANDARD_DAYS"] = "never",
        ["BACKUP_RETENTION_EXTENDED_DAYS"] = "never",
        ["BACKUP_RETENTION_ARCHIVE_DAYS"] = "never",
        ["BACKUP_HOOK_PRE_BACKUP"] = "exit 1",
        ["BACKUP_HOOK_PRE_RESTORE"] = "exit 1",
        ["BACKUP_HOOK_POST_BACKUP"] = "exit 1",
        ["BACKUP_HOOK_POST_RESTORE"] = "exit 1",
        ["PG_BIN_DIR"] = "/nowhere",
        ["BACKUP_LOCAL_ENABLED"] = "false",
        ["BACKUP_S3_ENABLED"] = "true",
        ["BACKUP_S3_BUCKET"] = "no/bucket",
        ["BACKUP_S3_PREFIX"] = "a//b",
        ["BACKUP_S3_REGION"] = "nowhere",
        ["BACKUP_S3_ENDPOINT"] = "ftp://nowhere",
        ["BACKUP_S3_PROFILE"] = "nobody",
        ["BACKUP_S3_KMS_KEY"] = "none",
        ["BACKUP_S3_STORAGE_CLASS"] = "GLACIER",
        ["BACKUP_S3_OBJECT_LOCK"] = "perhaps",
        ["BACKUP_S3_RETENTION_STANDARD_DAYS"] = "never",
        ["BACKUP_S3_RETENTION_EXTENDED_DAYS"] = "never",
        ["BACKUP_S3_RETENTION_ARCHIVE_DAYS"] = "never",
        ["BACKUP_GCS_ENABLED"] = "maybe",
        ["BACKUP_GCS_BUCKET"] = "no/bucket",
        ["BACKUP_GCS_PREFIX"] = "a//b",
        ["BACKUP_GCS_KMS_KEY"] = "none",
        ["BACKUP_GCS_STORAGE_CLASS"] = "STANDARD_IA",
        ["BACKUP_GCS_OBJECT_LOCK"] = "perhaps",
        ["BACKUP_GCS_RETENTION_STANDARD_DAYS"] = "never",
        ["BACKUP_GCS_RETENTION_EXTENDED_DAYS"] = "never",
        ["BACKUP_GCS_RETENTION_ARCHIVE_DAYS"] = "never",
        ["BACKUP_CROSS_REGION_ENABLED"] = "true",
        ["BACKUP_REQUIRED_COPIES"] = "many",
        // No settings of this list, but such as are in people's environments.
        ["DATABASE_PASSWORD_FILE"] = "/nowhere/password",
        ["PGSSLMODE"] = "on",
        ["BACKUP_ENCRYPTION_ENABLE"] = "true",
    };

    /// <summary>All but those of a list, with a space between.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Besides(string needed)
    {
        var names = needed.Split(' ').ToHashSet();
        return All.Where(w => !names.Contains(w.Key) && !names.Contains(Of(w.Key)));
    }

    // What a wrong value belongs to, where that is not the setting of its own name.
    private static string Of(string name) => name switch
    {
        "DATABASE_PASSWORD_FILE" => "DATABASE_PASSWORD",
        "PGSSLMODE" => "DATABASE_HOST",
        "BACKUP_ENCRYPTION_ENABLE" => "BACKUP_ENCRYPTION_ENABLED",
        _ => name,
    };
}
