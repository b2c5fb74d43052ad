using SoundHash.Backup.StorageContract.S3;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>A file of a store: where it is below the store's root, and when it was written.</summary>
internal sealed record SweptFile(string Key, byte[] Bytes, DateTimeOffset Written);

/// <summary>A store behind HTTP, of one lane of a sweep alone: its bucket can be laid out anew for every run.</summary>
internal abstract class SweptCloud : IAsyncDisposable
{
    /// <summary>The store's name.</summary>
    public abstract string Name { get; }

    /// <summary>The HTTP below.</summary>
    public abstract ScriptedServer Server { get; }

    /// <summary>Settings that lead there; sets are below backups/ and WAL below wal/.</summary>
    public abstract IReadOnlyDictionary<string, string> Settings { get; }

    /// <summary>The answer to a request that may not be made, which nobody sends again.</summary>
    public abstract ScriptedAnswer Refusal { get; }

    /// <summary>What is there now.</summary>
    public abstract IReadOnlyDictionary<string, byte[]> Files { get; }

    /// <summary>Uploads that were neither finished nor given up.</summary>
    public abstract int OpenUploads { get; }

    /// <summary>Makes these the only objects.</summary>
    public abstract void Lay(IEnumerable<SweptFile> files);

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}

/// <summary>One that speaks S3.</summary>
internal sealed class SweptS3 : SweptCloud
{
    private readonly ScriptedS3 _s3 = new();

    /// <inheritdoc/>
    public override string Name => "s3";

    /// <inheritdoc/>
    public override ScriptedServer Server => _s3.Server;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>
    {
        ["BACKUP_S3_ENABLED"] = "true",
        ["BACKUP_S3_BUCKET"] = ScriptedS3.Bucket,
        ["BACKUP_S3_PREFIX"] = "backups/",
        ["BACKUP_S3_ENDPOINT"] = _s3.Server.Address.ToString(),
        ["BACKUP_WAL_S3_ENABLED"] = "true",
        ["BACKUP_WAL_S3_PREFIX"] = "wal/",
        ["AWS_ACCESS_KEY_ID"] = ScriptedS3.AccessKey,
        ["AWS_SECRET_ACCESS_KEY"] = "scripted-secret",
    };

    /// <inheritdoc/>
    public override ScriptedAnswer Refusal => ScriptedS3.Error(403, "AccessDenied", "Access Denied");

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, byte[]> Files
    {
        get
        {
            lock (_s3.Stored.Lock)
            {
                return _s3.Stored.Versions.Keys.Select(_s3.Stored.Find).OfType<StoredVersion>().ToDictionary(static v => v.Key, static v => v.Bytes.ToArray());
            }
        }
    }

    /// <inheritdoc/>
    public override int OpenUploads => _s3.Stored.Uploads.Count;

    /// <inheritdoc/>
    public override void Lay(IEnumerable<SweptFile> files) => _s3.Replace(files.Select(static f => (f.Key, f.Bytes, f.Written)));

    /// <inheritdoc/>
    public override ValueTask DisposeAsync() => _s3.DisposeAsync();
}

/// <summary>One that speaks Google Cloud Storage's language.</summary>
internal sealed class SweptGcs : SweptCloud
{
    // As an emulator: it asks for no token.
    private readonly ScriptedGcs _gcs = new() { NeedsToken = false };

    /// <inheritdoc/>
    public override string Name => "gcs";

    /// <inheritdoc/>
    public override ScriptedServer Server => _gcs.Server;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>
    {
        ["BACKUP_GCS_ENABLED"] = "true",
        ["BACKUP_GCS_BUCKET"] = ScriptedGcs.Bucket,
        ["BACKUP_GCS_PREFIX"] = "backups/",
        ["BACKUP_WAL_GCS_ENABLED"] = "true",
        ["BACKUP_WAL_GCS_PREFIX"] = "wal/",
        ["STORAGE_EMULATOR_HOST"] = _gcs.Server.Address.ToString(),
    };

    /// <inheritdoc/>
    public override ScriptedAnswer Refusal => ScriptedGcs.Error(403, "forbidden", "the caller does not have the permission");

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, byte[]> Files => _gcs.All().ToDictionary(static o => o.Name, static o => o.Bytes.ToArray());

    // Nobody can list them there, and they end by themselves after a week.
    /// <inheritdoc/>
    public override int OpenUploads => 0;

    /// <inheritdoc/>
    public override void Lay(IEnumerable<SweptFile> files) => _gcs.Replace(files.Select(static f => (f.Key, f.Bytes, f.Written)));

    /// <inheritdoc/>
    public override ValueTask DisposeAsync() => _gcs.DisposeAsync();
}

/// <summary>Makes files of a store of those of a directory.</summary>
internal static class SweptFiles
{
    /// <summary>What is below backups/ and wal/ in a folder, but for the local state of runs.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="written">When each is to have been written, by its key.</param>
    public static IReadOnlyList<SweptFile> Under(string folder, Func<string, DateTimeOffset> written) => ((string[])["backups", "wal"])
        .Select(d => Path.Combine(folder, d)).Where(Directory.Exists)
        .SelectMany(static d => Directory.GetFiles(d, "*", SearchOption.AllDirectories))
        .Select(p => (Path: p, Key: Path.GetRelativePath(folder, p)))
        .Where(static p => !p.Key.StartsWith("backups/state/", StringComparison.Ordinal))
        .Select(p => new SweptFile(p.Key, File.ReadAllBytes(p.Path), written(p.Key))).ToList();
}
