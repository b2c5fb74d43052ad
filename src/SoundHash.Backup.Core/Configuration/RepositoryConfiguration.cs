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
