using SoundHash.Backup.Encryption;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Pipelines.Zstd;

namespace SoundHash.Backup.Configuration;

/// <summary>Where the repository is.</summary>
/// <param name="Directory">The local store's root, absolute.</param>
/// <param name="Cluster">The folder of the cluster below it, or null.</param>
/// <param name="StateDirectory">Locks and other local state, absolute.</param>
/// <param name="Group">A group that may read the store, or null.</param>
public sealed record RepositoryConfiguration(string Directory, string? Cluster, string StateDirectory, string? Group)
{
    private static readonly string[] Clouds = ["BACKUP_S3_ENABLED", "BACKUP_GCS_ENABLED"];

    /// <summary>Reads it; problems are left in the reader.</summary>
    public static RepositoryConfiguration Read(SettingsReader settings)
    {
        foreach (var cloud in Clouds.Where(settings.Flag))
        {
            settings.Problem(cloud, "true", "is not supported by this version: only the local store is");
        }

        var cluster = settings.Text("BACKUP_CLUSTER");
        if (cluster is not null && !Storage.ObjectKey.IsValidSegment(cluster))
        {
            settings.Problem("BACKUP_CLUSTER", cluster, "may hold letters, digits, '.', '_' and '-' only");
        }

        var directory = settings.PathOf("BACKUP_DIR")!;
        var root = cluster is null ? directory : Path.Combine(directory, cluster);
        return new RepositoryConfiguration(
            root, cluster, settings.GivenPath("BACKUP_STATE_DIR") ?? Path.Combine(root, "state"), settings.Text("BACKUP_GROUP"));
    }
}

/// <summary>How objects are encrypted and decrypted.</summary>
/// <param name="Method">None when encryption is off.</param>
/// <param name="Recipients">Public keys.</param>
/// <param name="IdentityFiles">age identity files, absolute.</param>
/// <param name="GpgPassphraseFile">Absolute, or null.</param>
public sealed record EncryptionConfiguration(
    EncryptionMethod Method, IReadOnlyList<string> Recipients, IReadOnlyList<string> IdentityFiles, string? GpgPassphraseFile)
{
    /// <summary>Reads what writing needs; problems are left in the reader.</summary>
    public static EncryptionConfiguration Read(SettingsReader settings)
    {
        var method = settings.Flag("BACKUP_ENCRYPTION_ENABLED")
            ? settings.Choice("BACKUP_ENCRYPTION_METHOD", "gpg", "age") switch
            {
                "age" => EncryptionMethod.Age,
                "gpg" => EncryptionMethod.Gpg,
                _ => EncryptionMethod.None,
            }
            : EncryptionMethod.None;
        var recipients = settings.List("BACKUP_ENCRYPTION_KEY");
        if (method != EncryptionMethod.None && recipients.Count == 0)
        {
            settings.Problem("BACKUP_ENCRYPTION_KEY", null, "must name a recipient, since BACKUP_ENCRYPTION_ENABLED is true");
        }

        var fromFile = settings.ComesFromFile("BACKUP_ENCRYPTION_KEY");
        return ReadForDecryption(settings) with
        {
            Method = method,
            Recipients = recipients.Select(r => method == EncryptionMethod.Age && !AgeEncryption.IsKey(r) ? settings.Absolute(r, fromFile) : r).ToList(),
        };
    }

    /// <summary>Reads what reading needs.</summary>
    public static EncryptionConfiguration ReadForDecryption(SettingsReader settings) => new(
        EncryptionMethod.None, [], settings.PathList("BACKUP_DECRYPTION_IDENTITY_FILE"), settings.GivenPath("BACKUP_GPG_PASSPHRASE_FILE"));
}

/// <summary>Reads the settings that need no type of their own.</summary>
public static class RunConfiguration
{
    private const int DefaultGzipLevel = 6;

    /// <summary>How to compress; gzip where zstd was not asked for and libzstd is missing.</summary>
    public static Compression ReadCompression(SettingsReader settings)
    {
        var asked = settings.Choice("BACKUP_COMPRESSION", "zstd", "gzip", "none");
        var zstd = asked == "zstd" && LibZstd.IsAvailable();
        if (asked == "zstd" && !zstd && settings.Given("BACKUP_COMPRESSION") is not null)
        {
            settings.Problem("BACKUP_COMPRESSION", "zstd", "needs libzstd.so.1, which is missing (apt-get install libzstd1)");
        }

        var method = asked == "none" ? CompressionMethod.None : zstd ? CompressionMethod.Zstd : CompressionMethod.Gzip;
        var level = settings.Number("BACKUP_COMPRESSION_LEVEL", 1, method == CompressionMethod.Gzip ? 9 : 19);
        return new Compression(
            method, level ?? (method == CompressionMethod.Zstd ? ZstdCompressStage.DefaultLevel : DefaultGzipLevel), Math.Min(Environment.ProcessorCount, 4));
    }

    /// <summary>How many streams run at once.</summary>
    public static int ReadJobs(SettingsReader settings) =>
        settings.Number("BACKUP_JOBS", 1, 64) ?? Math.Min(Environment.ProcessorCount, 4);
}

/// <summary>How long the sets of each tier are kept, in days.</summary>
/// <param name="Standard">Days of tier standard.</param>
/// <param name="Extended">Days of tier extended.</param>
/// <param name="Archive">Days of tier archive.</param>
public sealed record RetentionConfiguration(int Standard, int Extended, int Archive)
{
    private const int MostDays = 36_500;

    /// <summary>Reads it; problems are left in the reader. Zero days is refused: nothing may expire as it is made.</summary>
    public static RetentionConfiguration Read(SettingsReader settings) => new(
        (settings.Given("BACKUP_RETENTION_STANDARD_DAYS") is null
            ? settings.Number("BACKUP_RETENTION_DAYS", 1, MostDays)
            : settings.Number("BACKUP_RETENTION_STANDARD_DAYS", 1, MostDays)) ?? 30,
        settings.Number("BACKUP_RETENTION_EXTENDED_DAYS", 1, MostDays) ?? 90,
        settings.Number("BACKUP_RETENTION_ARCHIVE_DAYS", 1, MostDays) ?? 365);
}
