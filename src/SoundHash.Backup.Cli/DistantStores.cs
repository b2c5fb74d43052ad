using System.Security.Cryptography;
using System.Text;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.Storage.S3;

namespace SoundHash.Backup.Cli;

/// <summary>Opens stores that are not on this machine, with what earlier runs have found out about them.</summary>
internal static class DistantStores
{
    /// <summary>Opens a bucket; what this run finds out is remembered when the session ends.</summary>
    /// <param name="cli">The session.</param>
    /// <param name="settings">The bucket.</param>
    /// <param name="memory">A directory of ours; it need not exist.</param>
    public static IObjectStore Open(CliSession cli, S3StoreSettings settings, string memory)
    {
        var known = KnownOf(memory, settings);
        var store = new S3ObjectStore(new S3Options(settings.Bucket)
        {
            Name = settings.Name,
            Prefix = settings.Prefix,
            Region = settings.Region,
            Endpoint = settings.Endpoint,
            Profile = settings.Profile,
            Encryption = settings.KmsKey is null ? S3Encryption.None : S3Encryption.Kms,
            KmsKey = settings.KmsKey,
            StorageClass = settings.Keeping.StorageClass.General,
            StorageClasses = settings.Keeping.StorageClass.Own,
            Lock = S3LockOf(settings.Keeping.Lock.General),
            TierLocks = settings.Keeping.Lock.Own.ToDictionary(static l => l.Key, static l => S3LockOf(l.Value)),
            Cluster = settings.Cluster,
            ConditionalWrites = known,
            Time = cli.Time,
        });
        cli.AtEnd(() =>
        {
            if (store.ConditionalWrites != known)
            {
                Remember(memory, settings, store.ConditionalWrites);
            }

            store.Dispose();
        });
        return store;
    }

    /// <summary>Opens a bucket of Google Cloud Storage.</summary>
    public static IObjectStore Open(CliSession cli, GcsStoreSettings settings)
    {
        var store = new GcsObjectStore(new GcsOptions(settings.Bucket)
        {
            Name = settings.Name,
            Prefix = settings.Prefix,
            KmsKey = settings.KmsKey,
            StorageClass = settings.Keeping.StorageClass.General,
            StorageClasses = settings.Keeping.StorageClass.Own,
            Lock = GcsLockOf(settings.Keeping.Lock.General),
            TierLocks = settings.Keeping.Lock.Own.ToDictionary(static l => l.Key, static l => GcsLockOf(l.Value)),
            Cluster = settings.Cluster,
            Time = cli.Time,
        });
        cli.AtEnd(store.Dispose);
        return store;
    }

    private static S3Lock S3LockOf(string? word) => word switch
    {
        "governance" => S3Lock.Governance,
        "compliance" => S3Lock.Compliance,
        _ => S3Lock.None,
    };

    private static GcsLock GcsLockOf(string? word) => word switch
    {
        "governance" => GcsLock.Unlocked,
        "compliance" => GcsLock.Locked,
        _ => GcsLock.None,
    };

    private static ConditionalWrites KnownOf(string memory, StoreSettings settings)
    {
        try
        {
            return Enum.TryParse<ConditionalWrites>(File.ReadAllText(PathOf(memory, settings)), out var known) ? known : ConditionalWrites.Unknown;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ConditionalWrites.Unknown;
        }
    }

    // Without it the next run only tries again.
    private static void Remember(string memory, StoreSettings settings, ConditionalWrites known)
    {
        try
        {
            if (Directory.Exists(memory))
            {
                var path = PathOf(memory, settings);
                Directory.CreateDirectory(Path.GetDirectoryName(path)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                File.WriteAllText(path, known.ToString());
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return;
        }
    }

    private static string PathOf(string memory, StoreSettings settings) => Path.Combine(
        memory, "stores", $"{settings.Name}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(settings.Place)))[..12]}");
}
