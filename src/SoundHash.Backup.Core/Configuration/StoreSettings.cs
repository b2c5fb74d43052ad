namespace SoundHash.Backup.Configuration;

/// <summary>A store as it is configured.</summary>
/// <param name="Name">Its name: local, s3, gcs, or that of a further one in lower case.</param>
public abstract record StoreSettings(string Name)
{
    /// <summary>The name of the store that BACKUP_DIR is.</summary>
    public const string Local = "local";

    /// <summary>The name of the store of BACKUP_S3_BUCKET.</summary>
    public const string S3 = "s3";

    /// <summary>The name of the store of BACKUP_GCS_BUCKET.</summary>
    public const string Gcs = "gcs";

    /// <summary>Where it is, in one word for people: two stores of one place are one.</summary>
    public abstract string Place { get; }

    /// <summary>The setting that says where it is.</summary>
    public abstract string Setting { get; }

    /// <summary>A setting of this store, by what its name ends with.</summary>
    public string SettingOf(string ending) => Name switch
    {
        Local => $"BACKUP_{ending}",
        S3 => $"BACKUP_S3_{ending}",
        Gcs => $"BACKUP_GCS_{ending}",
        _ => $"BACKUP_STORE_{Name.ToUpperInvariant().Replace('-', '_')}_{ending}",
    };
}

/// <summary>A directory of this machine.</summary>
/// <param name="Name">The store's name.</param>
/// <param name="Directory">Absolute, with the cluster's folder.</param>
/// <param name="Group">A group that may read it, or null.</param>
public sealed record LocalStoreSettings(string Name, string Directory, string? Group) : StoreSettings(Name)
{
    /// <summary>The directory that a person makes before the store is used; null where it is made by the first backup.</summary>
    public string? Existing { get; init; }

    /// <inheritdoc/>
    public override string Place => Directory;

    /// <summary>True for a store of WAL.</summary>
    public bool IsWal { get; init; }

    /// <inheritdoc/>
    public override string Setting => Name == Local && IsWal ? "BACKUP_WAL_DIR" : SettingOf("DIR");
}

/// <summary>A bucket of S3, or of a store that speaks its language. Who we are is the SDK's own chain's to tell.</summary>
/// <param name="Name">The store's name.</param>
/// <param name="Bucket">The bucket.</param>
/// <param name="Prefix">What its keys begin with, with the cluster's folder: empty, or with a slash at its end.</param>
public sealed record S3StoreSettings(string Name, string Bucket, string Prefix) : StoreSettings(Name)
{
    /// <summary>The region, or null for the one of the SDK's own settings.</summary>
    public string? Region { get; init; }

    /// <summary>Where it is when that is not AWS; null for AWS.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>A profile of the SDK's credentials file, or null.</summary>
    public string? Profile { get; init; }

    /// <summary>A key of KMS to encrypt with there, or null.</summary>
    public string? KmsKey { get; init; }

    /// <summary>How it is to keep what is written; as it is set up where nothing is.</summary>
    public BucketKeeping Keeping { get; init; } = BucketKeeping.AsItIs;

    /// <summary>BACKUP_CLUSTER, or null.</summary>
    public string? Cluster { get; init; }

    /// <inheritdoc/>
    public override string Place => $"{Endpoint?.GetLeftPart(UriPartial.Authority) ?? "s3:/"}/{Bucket}/{Prefix}";

    /// <inheritdoc/>
    public override string Setting => SettingOf("BUCKET");
}

/// <summary>A bucket of Google Cloud Storage. Who we are is told by Google's application-default credentials.</summary>
/// <param name="Name">The store's name.</param>
/// <param name="Bucket">The bucket.</param>
/// <param name="Prefix">What its keys begin with, with the cluster's folder: empty, or with a slash at its end.</param>
public sealed record GcsStoreSettings(string Name, string Bucket, string Prefix) : StoreSettings(Name)
{
    /// <summary>A key of Cloud KMS to encrypt with there, or null.</summary>
    public string? KmsKey { get; init; }

    /// <summary>How it is to keep what is written; as it is set up where nothing is.</summary>
    public BucketKeeping Keeping { get; init; } = BucketKeeping.AsItIs;

    /// <summary>BACKUP_CLUSTER, or null.</summary>
    public string? Cluster { get; init; }

    /// <inheritdoc/>
    public override string Place => $"gs://{Bucket}/{Prefix}";

    /// <inheritdoc/>
    public override string Setting => SettingOf("BUCKET");
}

/// <summary>Which of the configured stores a verb uses.</summary>
/// <param name="Only">These, in this order, whether they are enabled or not; empty for those that are enabled.</param>
/// <param name="S3">Store s3 too.</param>
/// <param name="Gcs">Store gcs too.</param>
public sealed record StoreChoice(IReadOnlyList<string> Only, bool S3 = false, bool Gcs = false)
{
    /// <summary>Those that are enabled.</summary>
    public static StoreChoice Enabled { get; } = new([]);
}
