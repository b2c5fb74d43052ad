using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Configuration;

/// <summary>Where the repository is: one store or several, each with a copy of what it holds.</summary>
/// <param name="Stores">The stores, the nearest first; empty only where a problem was left in the reader.</param>
/// <param name="StateDirectory">Locks and other local state, absolute.</param>
/// <param name="Cluster">BACKUP_CLUSTER, or null.</param>
public sealed record RepositoryConfiguration(IReadOnlyList<StoreSettings> Stores, string StateDirectory, string? Cluster)
{
    /// <summary>How many stores must have a set for a backup to count as done.</summary>
    public int RequiredCopies { get; init; } = 1;

    /// <summary>Where the stores are, for people.</summary>
    public string Places => string.Join(" and ", Stores.Select(static s => s.Place));

    /// <summary>Directories that are stores, with the settings that name them.</summary>
    public IReadOnlyList<(string Setting, string Directory)> Directories =>
        Stores.OfType<LocalStoreSettings>().Select(static s => (s.Setting, s.Directory)).ToList();

    /// <summary>Reads it for a verb that only reads; problems are left in the reader.</summary>
    public static RepositoryConfiguration Read(SettingsReader settings, StoreChoice? choice = null) =>
        Read(settings, choice ?? StoreChoice.Enabled, StoreUse.Reading);

    /// <summary>As <see cref="Read(SettingsReader, StoreChoice)"/>, for a verb that changes what is there.</summary>
    public static RepositoryConfiguration ReadForWriting(SettingsReader settings, StoreChoice? choice = null) =>
        Read(settings, choice ?? StoreChoice.Enabled, new StoreUse(true, ReadGroup(settings)));

    /// <summary>
    /// As <see cref="ReadForWriting"/>, for a verb that makes sets: what was asked for of copies and can't be met is a problem, since a
    /// backup must not count as done while the copy that somebody relies on can't exist.
    /// </summary>
    public static RepositoryConfiguration ReadForBackup(SettingsReader settings, StoreChoice choice)
    {
        var read = ReadForWriting(settings, choice);
        if (read.Stores.Count == 0 && !settings.HasProblems)
        {
            settings.Problem("BACKUP_LOCAL_ENABLED", settings.Text("BACKUP_LOCAL_ENABLED"), "leaves no store: enable another one, e.g. BACKUP_S3_ENABLED=true");
        }

        var required = settings.Number("BACKUP_REQUIRED_COPIES", 1, 100) ?? Math.Max(1, read.Stores.Count);
        if (required > read.Stores.Count && read.Stores.Count > 0)
        {
            settings.Problem(
                "BACKUP_REQUIRED_COPIES", $"{required}", $"can't be met: a backup goes to {string.Join(", ", read.Stores.Select(static s => s.Name))}");
        }

        if (settings.Flag("BACKUP_CROSS_REGION_ENABLED") && read.Stores.Select(RegionOf).Distinct().Count() < 2)
        {
            settings.Problem(
                "BACKUP_CROSS_REGION_ENABLED",
                settings.Text("BACKUP_CROSS_REGION_ENABLED"),
                "needs two stores in different places, of which one at least is not on this machine: enable S3 or Google Cloud Storage, or add one with BACKUP_STORE_<NAME>_TYPE=s3");
        }

        return read with { RequiredCopies = required };
    }

    private static RepositoryConfiguration Read(SettingsReader settings, StoreChoice choice, StoreUse use)
    {
        var cluster = ReadCluster(settings);
        var stores = StoreConfiguration.Read(settings, choice, cluster, use);
        return new RepositoryConfiguration(stores, ReadStateDirectory(settings, cluster), cluster);
    }

    /// <summary>BACKUP_CLUSTER, or null; problems are left in the reader.</summary>
    internal static string? ReadCluster(SettingsReader settings)
    {
        var cluster = settings.Text("BACKUP_CLUSTER");
        if (cluster is not null && !ObjectKey.IsValidSegment(cluster))
        {
            settings.Problem("BACKUP_CLUSTER", cluster, "may hold letters, digits, '.', '_' and '-' only");
        }

        return cluster;
    }

    /// <summary>Where locks and other local state are, absolute.</summary>
    internal static string ReadStateDirectory(SettingsReader settings, string? cluster)
    {
        var directory = settings.PathOf("BACKUP_DIR")!;
        return settings.PathOf("BACKUP_STATE_DIR") ?? Path.Combine(cluster is null ? directory : Path.Combine(directory, cluster), "state");
    }

    /// <summary>The group that may read what is written, or null; problems are left in the reader.</summary>
    internal static string? ReadGroup(SettingsReader settings)
    {
        var group = settings.Text("BACKUP_GROUP");
        if (group is not null && LocalFiles.FindGroup(group) is null)
        {
            settings.Problem("BACKUP_GROUP", group, "is no group of this machine (getent group lists them)");
        }

        return group;
    }

    // All directories of a machine are lost with it.
    private static string RegionOf(StoreSettings store) => store switch
    {
        S3StoreSettings s3 => $"{s3.Endpoint} {s3.Region} {(s3.Region is null ? s3.Bucket : string.Empty)}",
        // Where a bucket of GCS is, its settings do not say.
        GcsStoreSettings gcs => $"gcs {gcs.Bucket}",
        _ => "this machine",
    };
}
