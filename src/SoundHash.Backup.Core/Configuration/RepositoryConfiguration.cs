using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Configuration;

/// <summary>Where the repository is.</summary>
/// <param name="Directory">The local store's root with the cluster's folder, absolute.</param>
/// <param name="StateDirectory">Locks and other local state, absolute.</param>
/// <param name="Group">A group that may read the store, or null.</param>
public sealed record RepositoryConfiguration(string Directory, string StateDirectory, string? Group)
{
    /// <summary>Reads it for a verb that only reads; problems are left in the reader.</summary>
    public static RepositoryConfiguration Read(SettingsReader settings)
    {
        var cluster = settings.Text("BACKUP_CLUSTER");
        if (cluster is not null && !ObjectKey.IsValidSegment(cluster))
        {
            settings.Problem("BACKUP_CLUSTER", cluster, "may hold letters, digits, '.', '_' and '-' only");
        }

        var directory = settings.PathOf("BACKUP_DIR")!;
        var root = cluster is null ? directory : Path.Combine(directory, cluster);
        var state = settings.PathOf("BACKUP_STATE_DIR") ?? Path.Combine(root, "state");
        return new RepositoryConfiguration(root, state, null);
    }

    /// <summary>As <see cref="Read"/>, for a verb that changes what is there.</summary>
    public static RepositoryConfiguration ReadForWriting(SettingsReader settings)
    {
        var group = settings.Text("BACKUP_GROUP");
        if (group is not null && LocalFiles.FindGroup(group) is null)
        {
            settings.Problem("BACKUP_GROUP", group, "is no group of this machine (getent group lists them)");
        }

        return Read(settings) with { Group = group };
    }

    /// <summary>
    /// As <see cref="ReadForWriting"/>, for a verb that makes sets. Copies that were asked for and that this version can't make are
    /// problems: a backup must not count as done while the copy that somebody relies on does not exist.
    /// </summary>
    public static RepositoryConfiguration ReadForBackup(SettingsReader settings)
    {
        foreach (var name in (string[])["BACKUP_S3_ENABLED", "BACKUP_GCS_ENABLED", "BACKUP_CROSS_REGION_ENABLED"])
        {
            if (settings.Flag(name))
            {
                settings.Problem(name, settings.Text(name), "is not in this version: it backs up to the local store only");
            }
        }

        const string Local = "BACKUP_LOCAL_ENABLED";
        if (!settings.Flag(Local))
        {
            settings.Problem(Local, settings.Text(Local), "leaves no store: this version has the local one only");
        }

        if (settings.Text("BACKUP_REQUIRED_COPIES") is { } copies and not "1")
        {
            settings.Problem("BACKUP_REQUIRED_COPIES", copies, "can't be met: this version has the local store only, which is one copy");
        }

        return ReadForWriting(settings);
    }
}
