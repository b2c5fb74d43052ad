namespace SoundHash.Backup.Storage.S3;

/// <summary>How the store encrypts what it keeps.</summary>
public enum S3Encryption
{
    /// <summary>As the bucket is set up; nothing is asked for.</summary>
    None,

    /// <summary>With keys of the store (SSE-S3, AES256).</summary>
    Aes256,

    /// <summary>With a key of the key management service (SSE-KMS).</summary>
    Kms,
}

/// <summary>How the store locks objects that are to be kept until a time.</summary>
public enum S3Lock
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>Those with a special right may still delete them.</summary>
    Governance,

    /// <summary>Nobody may delete them.</summary>
    Compliance,
}

/// <summary>Whether a store refuses a write with <c>If-None-Match: *</c> when the object exists.</summary>
public enum ConditionalWrites
{
    /// <summary>Not known yet, or it could not be tried.</summary>
    Unknown,

    /// <summary>It does.</summary>
    Honoured,

    /// <summary>It refuses or ignores the condition.</summary>
    Unsupported,
}

/// <summary>
/// A bucket and how it is used. Credentials are not among it: the SDK's own chain finds them (environment, profile, web identity,
/// role of the container or the machine) and renews them.
/// </summary>
/// <param name="Bucket">The bucket's name.</param>
public sealed record S3Options(string Bucket)
{
    private const int MiB = 1024 * 1024;
    private static readonly TimeSpan LeastLock = TimeSpan.FromMinutes(5);

    /// <summary>The store's name in messages.</summary>
    public string Name { get; init; } = "s3";

    /// <summary>What stands before every key, without the '/' that follows it; empty for none.</summary>
    public string Prefix { get; init; } = string.Empty;

    /// <summary>The bucket's region; null to let the SDK find it.</summary>
    public string? Region { get; init; }

    /// <summary>The address of a store other than AWS, addressed in path style; null for AWS.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>The profile of the shared AWS files whose credentials are used; null for the chain's own choice.</summary>
    public string? Profile { get; init; }

    /// <summary>How the store encrypts.</summary>
    public S3Encryption Encryption { get; init; }

    /// <summary>The key's id or ARN for <see cref="S3Encryption.Kms"/>; null for the account's default.</summary>
    public string? KmsKey { get; init; }

    /// <summary>The storage class of objects whose tier has none of its own; null for the bucket's default.</summary>
    public string? StorageClass { get; init; }

    /// <summary>Storage class by tier.</summary>
    public IReadOnlyDictionary<string, string> StorageClasses { get; init; } = new Dictionary<string, string>();

    /// <summary>How objects are locked that have a time until which they are to be kept, where their tier has no way of its own.</summary>
    public S3Lock Lock { get; init; }

    /// <summary>The same by tier.</summary>
    public IReadOnlyDictionary<string, S3Lock> TierLocks { get; init; } = new Dictionary<string, S3Lock>();

    /// <summary>Whether objects are tagged with tier, kind and cluster; null for AWS alone, since other stores may refuse tags.</summary>
    public bool? Tags { get; init; }

    /// <summary>The cluster that objects are tagged with, or null.</summary>
    public string? Cluster { get; init; }

    /// <summary>Bytes of the first parts; they grow with the object (<see cref="PartSizes"/>). AWS takes no less than 5 MiB.</summary>
    public int PartSize { get; init; } = 8 * MiB;

    /// <summary>How many parts of one object are in memory at a time.</summary>
    public int PartsInFlight { get; init; } = 4;

    /// <summary>A request that has moved no byte for so long has failed.</summary>
    public TimeSpan Stall { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>About how long the wait before the second attempt of a call is.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>What is known already of the store's conditional writes, so that it need not be tried.</summary>
    public ConditionalWrites ConditionalWrites { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    internal bool Locks => Lock is not S3Lock.None || TierLocks.Values.Any(static l => l is not S3Lock.None);

    // A time that is over, or nearly, is refused by stores, and would keep nothing.
    internal S3Lock LockOf(ObjectAttributes attributes) => attributes.RetainUntil is not { } until || until < Time.GetUtcNow() + LeastLock
        ? S3Lock.None
        : attributes.Tier is not null && TierLocks.TryGetValue(attributes.Tier, out var own) ? own : Lock;

    internal bool UsesTags => Tags ?? Endpoint is null;

    internal string Root => Prefix.Trim('/') is { Length: > 0 } prefix ? $"{prefix}/" : string.Empty;
}
