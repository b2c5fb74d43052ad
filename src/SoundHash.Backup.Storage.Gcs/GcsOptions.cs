namespace SoundHash.Backup.Storage.Gcs;

/// <summary>How the store locks objects that are to be kept until a time (object retention).</summary>
public enum GcsLock
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>Those with a special right may still shorten it.</summary>
    Unlocked,

    /// <summary>Nobody may shorten it.</summary>
    Locked,
}

/// <summary>
/// A bucket and how it is used. Credentials are not among it: application-default credentials are found and renewed by themselves
/// (GOOGLE_APPLICATION_CREDENTIALS, the file that gcloud writes, the machine's service account).
/// </summary>
/// <param name="Bucket">The bucket's name.</param>
public sealed record GcsOptions(string Bucket)
{
    private static readonly TimeSpan LeastLock = TimeSpan.FromMinutes(5);

    /// <summary>Bytes that every chunk but the last is a multiple of, as the protocol has it.</summary>
    public const int ChunkUnit = 256 * 1024;

    /// <summary>The store's name in messages.</summary>
    public string Name { get; init; } = "gcs";

    /// <summary>What stands before every key, without the '/' that follows it; empty for none.</summary>
    public string Prefix { get; init; } = string.Empty;

    /// <summary>The address of the JSON API; null for Google's own.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>
    /// The address of an emulator, as "http://host:port" or "host:port", that is asked without credentials; null for none. Unless
    /// set, what STORAGE_EMULATOR_HOST says. An <see cref="Endpoint"/> comes before it.
    /// </summary>
    public string? EmulatorHost { get; init; } = Environment.GetEnvironmentVariable("STORAGE_EMULATOR_HOST");

    /// <summary>The storage class of objects whose tier has none of its own; null for the bucket's default.</summary>
    public string? StorageClass { get; init; }

    /// <summary>Storage class by tier.</summary>
    public IReadOnlyDictionary<string, string> StorageClasses { get; init; } = new Dictionary<string, string>();

    /// <summary>How objects are locked that have a time until which they are to be kept, where their tier has no way of its own.</summary>
    public GcsLock Lock { get; init; }

    /// <summary>The same by tier.</summary>
    public IReadOnlyDictionary<string, GcsLock> TierLocks { get; init; } = new Dictionary<string, GcsLock>();

    /// <summary>The cluster that objects are marked with, or null.</summary>
    public string? Cluster { get; init; }

    /// <summary>The full name of the key of Cloud KMS that encrypts objects; null for what the bucket is set up with.</summary>
    public string? KmsKey { get; init; }

    /// <summary>
    /// Bytes of a chunk, a multiple of <see cref="ChunkUnit"/>. A writer holds two of them in memory: one that is sent, one that is filled.
    /// </summary>
    public int ChunkSize { get; init; } = 8 * 1024 * 1024;

    /// <summary>A request that has moved no byte for so long has failed.</summary>
    public TimeSpan Stall { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>About how long the wait before the second attempt of a call is.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    internal bool Locks => Lock is not GcsLock.None || TierLocks.Values.Any(static l => l is not GcsLock.None);

    // A time that is over, or nearly, would keep nothing.
    internal GcsLock LockOf(ObjectAttributes attributes) => attributes.RetainUntil is not { } until || until < Time.GetUtcNow() + LeastLock
        ? GcsLock.None
        : attributes.Tier is not null && TierLocks.TryGetValue(attributes.Tier, out var own) ? own : Lock;

    internal bool IsEmulated => Endpoint is null && !string.IsNullOrWhiteSpace(EmulatorHost);

    internal string Root => Prefix.Trim('/') is { Length: > 0 } prefix ? $"{prefix}/" : string.Empty;

    internal Uri Address
    {
        get
        {
            if (!IsEmulated)
            {
                return Endpoint ?? new Uri("https://storage.googleapis.com");
            }

            var host = EmulatorHost!.Trim();
            return new Uri(host.Contains("://", StringComparison.Ordinal) ? host : $"http://{host}");
        }
    }

    internal GcsOptions Checked() => ChunkSize > 0 && ChunkSize % ChunkUnit == 0
        ? this
        : throw new StorageException($"store {Name} can't send chunks of {ChunkSize} bytes", $"take a multiple of {ChunkUnit} bytes");
}
