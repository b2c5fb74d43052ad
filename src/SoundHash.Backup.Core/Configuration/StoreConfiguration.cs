using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads which stores there are. Problems are left in the reader.</summary>
internal sealed class StoreConfiguration
{
    private readonly SettingsReader _settings;
    private readonly string? _cluster;
    private readonly string? _group;
    private readonly bool _writes;

    private StoreConfiguration(SettingsReader settings, string? cluster, StoreUse use)
    {
        _settings = settings;
        _cluster = cluster;
        _group = use.Group;
        _writes = use.Writes;
    }

    /// <summary>Reads the chosen stores, in the order of nearness: local ones first.</summary>
    /// <param name="settings">The settings.</param>
    /// <param name="choice">Which.</param>
    /// <param name="cluster">BACKUP_CLUSTER, or null.</param>
    /// <param name="use">What for.</param>
    public static IReadOnlyList<StoreSettings> Read(SettingsReader settings, StoreChoice choice, string? cluster, StoreUse use)
    {
        var reader = new StoreConfiguration(settings, cluster, use);
        var stores = (choice.Only.Count > 0 ? reader.Named(choice) : reader.Enabled(choice)).OfType<StoreSettings>().ToList();
        return InOrder(settings, stores);
    }

    // Two stores that are one place would make two copies of one.
    private static List<StoreSettings> InOrder(SettingsReader settings, IReadOnlyList<StoreSettings> stores)
    {
        foreach (var same in stores.GroupBy(RealPlaceOf).Where(static g => g.Count() > 1))
        {
            settings.Problem(
                same.Last().Setting, same.Key, $"is the place of stores {string.Join(" and ", same.Select(static s => s.Name))}: their copies would be one");
        }

        return [.. stores.OrderBy(static s => s is not LocalStoreSettings)];
    }

    /// <summary>As <see cref="Read"/>, of the stores that WAL is archived to; empty where a named one has none.</summary>
    public static IReadOnlyList<StoreSettings> ReadWal(SettingsReader settings, string? only, string? cluster, StoreUse use)
    {
        var reader = new StoreConfiguration(settings, cluster, use);
        return InOrder(settings, reader.Wal(only).OfType<StoreSettings>().ToList());
    }

    // Links are followed. What can't be looked at is looked at again when it is written to.
    private static string RealPlaceOf(StoreSettings store)
    {
        try
        {
            return store is LocalStoreSettings local ? RealPath.OfNew(local.Directory) : store.Place;
        }
        catch (IOException)
        {
            return store.Place;
        }
    }

    private IEnumerable<StoreSettings?> Wal(string? only)
    {
        bool IsMeant(string name) => only is null || only == name;
        if (IsMeant(StoreSettings.Local) && _settings.Flag("BACKUP_LOCAL_ENABLED"))
        {
            yield return new LocalStoreSettings(
                StoreSettings.Local, InCluster(_settings.PathOf("BACKUP_WAL_DIR") ?? Path.Combine(_settings.PathOf("BACKUP_DIR")!, "wal")), _group)
            { IsWal = true };
        }

        if (IsMeant(StoreSettings.S3) && _settings.Flag("BACKUP_WAL_S3_ENABLED"))
        {
            yield return ReadS3(StoreSettings.S3, "BACKUP_S3", "BACKUP_WAL_S3_PREFIX");
        }

        if (IsMeant(StoreSettings.Gcs) && _settings.Flag("BACKUP_WAL_GCS_ENABLED"))
        {
            yield return ReadGcs(StoreSettings.Gcs, "BACKUP_GCS", "BACKUP_WAL_GCS_PREFIX");
        }

        foreach (var further in _settings.FurtherStores().Where(f => IsMeant(NameOf(f)) && _settings.Flag($"BACKUP_STORE_{f}_WAL")))
        {
            yield return ReadFurther(further) switch
            {
                LocalStoreSettings local => local with { Directory = InCluster(Path.Combine(local.Existing!, "wal")), IsWal = true },
                S3StoreSettings s3 => s3 with { Prefix = WalBelow(further) },
                GcsStoreSettings gcs => gcs with { Prefix = WalBelow(further) },
                _ => null,
            };
        }
    }

    private IEnumerable<StoreSettings?> Enabled(StoreChoice choice)
    {
        if (_settings.Flag("BACKUP_LOCAL_ENABLED"))
        {
            yield return ReadLocal();
        }

        if (_settings.Flag("BACKUP_S3_ENABLED") || choice.S3)
        {
            yield return ReadS3();
        }

        if (_settings.Flag("BACKUP_GCS_ENABLED") || choice.Gcs)
        {
            yield return ReadGcs();
        }

        foreach (var further in _settings.FurtherStores())
        {
            yield return ReadFurther(further);
        }
    }

    private IEnumerable<StoreSettings?> Named(StoreChoice choice)
    {
        var further = _settings.FurtherStores();
        foreach (var name in choice.Only.Concat(choice.S3 ? [StoreSettings.S3] : []).Concat(choice.Gcs ? [StoreSettings.Gcs] : []).Distinct())
        {
            yield return name switch
            {
                StoreSettings.Local => ReadLocal(),
                StoreSettings.S3 => ReadS3(),
                StoreSettings.Gcs => ReadGcs(),
                _ when further.FirstOrDefault(f => NameOf(f) == name) is { } found => ReadFurther(found),
                _ => Unknown(name, further),
            };
        }
    }

    private StoreSettings? Unknown(string name, IEnumerable<string> further)
    {
        _settings.UsageProblem($"there is no store '{name}': there are {string.Join(", ", further.Select(NameOf).Prepend(StoreSettings.Gcs).Prepend(StoreSettings.S3).Prepend(StoreSettings.Local))}");
        return null;
    }

    private LocalStoreSettings ReadLocal() => new(StoreSettings.Local, InCluster(_settings.PathOf("BACKUP_DIR")!), _group);

    private S3StoreSettings? ReadS3() => ReadS3(StoreSettings.S3, "BACKUP_S3", "BACKUP_S3_PREFIX");

    private GcsStoreSettings? ReadGcs() => ReadGcs(StoreSettings.Gcs, "BACKUP_GCS", "BACKUP_GCS_PREFIX");

    private GcsStoreSettings? ReadGcs(string name, string prefix, string keysSetting) => ReadBucket(name, prefix, keysSetting) is var (bucket, keys)
        ? new GcsStoreSettings(name, bucket, keys)
        {
            KmsKey = _settings.Text($"{prefix}_KMS_KEY"),
            Keeping = _writes ? BucketKeeping.ReadGcs(_settings, prefix) : BucketKeeping.AsItIs,
            Cluster = _cluster,
        }
        : null;

    private StoreSettings? ReadFurther(string name)
    {
        var prefix = $"BACKUP_STORE_{name}";
        if (NameOf(name) is StoreSettings.Local or StoreSettings.S3 or StoreSettings.Gcs)
        {
            _settings.Problem($"{prefix}_TYPE", _settings.Text($"{prefix}_TYPE"), $"makes a second store '{NameOf(name)}': give it another name");
            return null;
        }

        switch (_settings.Choice($"{prefix}_TYPE", StoreSettings.Local, StoreSettings.S3, StoreSettings.Gcs))
        {
            case StoreSettings.Local when _settings.PathOf($"{prefix}_DIR") is { } directory:
                return new LocalStoreSettings(NameOf(name), InCluster(directory), _group) { Existing = directory };
            case StoreSettings.Local:
                _settings.Problem($"{prefix}_DIR", null, "is not set: it is the directory of that store");
                return null;
            case StoreSettings.S3:
                return ReadS3(NameOf(name), prefix, $"{prefix}_PREFIX");
            case StoreSettings.Gcs:
                return ReadGcs(NameOf(name), prefix, $"{prefix}_PREFIX");
            default:
                if (_settings.Text($"{prefix}_TYPE") is null)
                {
                    _settings.Problem($"{prefix}_TYPE", null, "is not set: local, s3 or gcs");
                }

                return null;
        }
    }

    private S3StoreSettings? ReadS3(string name, string prefix, string keysSetting) => ReadBucket(name, prefix, keysSetting) is var (bucket, keys)
        ? new S3StoreSettings(name, bucket, keys)
        {
            Region = _settings.Text($"{prefix}_REGION"),
            Endpoint = ReadEndpoint($"{prefix}_ENDPOINT"),
            Profile = _settings.Text($"{prefix}_PROFILE"),
            KmsKey = _settings.Text($"{prefix}_KMS_KEY"),
            Keeping = _writes ? BucketKeeping.ReadS3(_settings, prefix) : BucketKeeping.AsItIs,
            Cluster = _cluster,
        }
        : null;

    private (string Bucket, string Keys)? ReadBucket(string name, string prefix, string keysSetting)
    {
        var keys = (_settings.Text(keysSetting) ?? string.Empty).Trim('/');
        if (keys.Length > 0 && !ObjectKey.IsValid(keys))
        {
            _settings.Problem(keysSetting, keys, "may hold letters, digits, '.', '_', '-' and '/' only");
            return null;
        }

        if (_settings.Text($"{prefix}_BUCKET") is { } bucket)
        {
            return (bucket, WithCluster(keys));
        }

        var enabledBy = name is StoreSettings.S3 or StoreSettings.Gcs ? $" ({prefix}_ENABLED, BACKUP_WAL_{name.ToUpperInvariant()}_ENABLED, --{name})" : string.Empty;
        _settings.Problem($"{prefix}_BUCKET", null, $"is not set: it is the bucket of store {name}{enabledBy}");
        return null;
    }

    private string WalBelow(string further) => WithCluster($"{(_settings.Text($"BACKUP_STORE_{further}_PREFIX") ?? string.Empty).Trim('/')}/wal".Trim('/'));

    private Uri? ReadEndpoint(string setting)
    {
        if (_settings.Text(setting) is not { } text)
        {
            return null;
        }

        if (Uri.TryCreate(text, UriKind.Absolute, out var endpoint) && endpoint.Scheme is "http" or "https" && endpoint.UserInfo.Length == 0)
        {
            return endpoint;
        }

        // What was meant for a password must not get into a message.
        _settings.Problem(setting, endpoint is { UserInfo.Length: > 0 } ? "(hidden)" : text, "must be the address of the service, e.g. https://s3.example.org, without a password");
        return null;
    }

    private string WithCluster(string keys) =>
        string.Concat(new[] { keys, _cluster }.OfType<string>().Where(static p => p.Length > 0).Select(static p => $"{p}/"));

    private string InCluster(string directory) => _cluster is null ? directory : Path.Combine(directory, _cluster);

    private static string NameOf(string further) => further.ToLowerInvariant().Replace('_', '-');
}

/// <summary>What stores are opened for.</summary>
/// <param name="Writes">False for a verb that only reads: what says how objects are kept can't stop it then.</param>
/// <param name="Group">The group that may read what is written to a local one, or null.</param>
internal sealed record StoreUse(bool Writes, string? Group)
{
    public static StoreUse Reading { get; } = new(false, null);
}
