namespace SoundHash.Backup.Configuration;

/// <summary>Where WAL goes, and where its local state is.</summary>
/// <param name="Directory">The local archive's root with the cluster's folder, absolute.</param>
/// <param name="SpoolDirectory">Acknowledgements and prefetched segments, absolute.</param>
/// <param name="Group">A group that may read the archive, or null.</param>
public sealed record WalConfiguration(string Directory, string SpoolDirectory, string? Group)
{
    /// <summary>Reads it; problems are left in the reader.</summary>
    public static WalConfiguration Read(SettingsReader settings) => Read(settings, group: null);

    /// <summary>As <see cref="Read(SettingsReader)"/>, for a verb that changes what is there.</summary>
    public static WalConfiguration ReadForWriting(SettingsReader settings) =>
        Read(settings, RepositoryConfiguration.ReadGroup(settings));

    /// <summary>
    /// As <see cref="ReadForWriting"/>, for what archives. A copy that was asked for and can't be made by this version is a problem, and so
    /// is archiving that was switched off: WAL that PostgreSQL hands over must be kept or refused, and never be dropped.
    /// </summary>
    public static WalConfiguration ReadForArchiving(SettingsReader settings)
    {
        const string Enabled = "BACKUP_WAL_ARCHIVING_ENABLED";
        if (settings.Given(Enabled) is { } given && !settings.Flag(Enabled))
        {
            settings.Problem(Enabled, given, "switches WAL archiving off, so that nothing can be archived; set it to true, or take shbackup out of archive_command");
        }

        foreach (var name in (string[])["BACKUP_WAL_S3_ENABLED", "BACKUP_WAL_GCS_ENABLED"])
        {
            if (settings.Flag(name))
            {
                settings.Problem(name, settings.Text(name), "is not in this version: it archives WAL to the local store only");
            }
        }

        return ReadForWriting(settings);
    }

    private static WalConfiguration Read(SettingsReader settings, string? group)
    {
        var directory = settings.PathOf("BACKUP_WAL_DIR") ?? Path.Combine(settings.PathOf("BACKUP_DIR")!, "wal");
        var cluster = RepositoryConfiguration.ReadCluster(settings);
        return new WalConfiguration(
            cluster is null ? directory : Path.Combine(directory, cluster),
            settings.PathOf("BACKUP_SPOOL_DIR") ?? Path.Combine(RepositoryConfiguration.ReadStateDirectory(settings, cluster), "spool"),
            group);
    }
}
