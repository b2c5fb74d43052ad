namespace SoundHash.Backup.Configuration;

/// <summary>Where WAL goes, and where its local state is.</summary>
/// <param name="Stores">The stores, the nearest first; empty only where a problem was left in the reader.</param>
/// <param name="SpoolDirectory">Acknowledgements and prefetched segments, absolute.</param>
public sealed record WalConfiguration(IReadOnlyList<StoreSettings> Stores, string SpoolDirectory)
{
    /// <summary>How many stores must have a segment for it to count as archived.</summary>
    public int RequiredCopies { get; init; } = 1;

    /// <summary>The store that was chosen, or null for all.</summary>
    public string? From { get; init; }

    /// <summary>Where the stores are, for people.</summary>
    public string Places => string.Join(" and ", Stores.Select(static s => s.Place));

    /// <summary>Directories that are stores, with the settings that name them.</summary>
    public IReadOnlyList<(string Setting, string Directory)> Directories =>
        Stores.OfType<LocalStoreSettings>().Select(static s => (s.Setting, s.Directory)).ToList();

    /// <summary>Reads it; problems are left in the reader.</summary>
    /// <param name="settings">The settings.</param>
    /// <param name="from">Only this store, where it has WAL; null for all.</param>
    /// <param name="mayBeNone">There need be no store of WAL, since logical sets do without; else that is a problem.</param>
    public static WalConfiguration Read(SettingsReader settings, string? from = null, bool mayBeNone = false)
    {
        if (from is null)
        {
            return Read(settings, StoreUse.Reading, mayBeNone);
        }

        var chosen = StoreConfiguration.ReadWal(settings, from, RepositoryConfiguration.ReadCluster(settings), StoreUse.Reading);
        return chosen.Count > 0 ? Read(settings, StoreUse.Reading, mayBeNone, chosen) with { From = from } : Read(settings, StoreUse.Reading, mayBeNone);
    }

    /// <summary>As <see cref="Read(SettingsReader, string, bool)"/>, for a verb that changes what is there.</summary>
    public static WalConfiguration ReadForWriting(SettingsReader settings, bool mayBeNone = false) =>
        Read(settings, new StoreUse(true, RepositoryConfiguration.ReadGroup(settings)), mayBeNone);

    /// <summary>
    /// As <see cref="ReadForWriting"/>, for what archives. Archiving that was switched off is a problem: WAL that PostgreSQL hands over
    /// must be kept or refused, and never be dropped.
    /// </summary>
    public static WalConfiguration ReadForArchiving(SettingsReader settings)
    {
        const string Enabled = "BACKUP_WAL_ARCHIVING_ENABLED";
        if (settings.Given(Enabled) is { } given && !settings.Flag(Enabled))
        {
            settings.Problem(Enabled, given, "switches WAL archiving off, so that nothing can be archived; set it to true, or take shbackup out of archive_command");
        }

        var read = ReadForWriting(settings);
        // One setting is of sets and WAL, of which there may be fewer copies than of the other.
        var required = settings.Number("BACKUP_REQUIRED_COPIES", 1, 100) ?? read.Stores.Count;
        return read with { RequiredCopies = Math.Max(1, Math.Min(required, read.Stores.Count)) };
    }

    private static WalConfiguration Read(SettingsReader settings, StoreUse use, bool mayBeNone, IReadOnlyList<StoreSettings>? chosen = null)
    {
        var cluster = RepositoryConfiguration.ReadCluster(settings);
        var stores = chosen ?? StoreConfiguration.ReadWal(settings, null, cluster, use);
        if (stores.Count == 0 && !mayBeNone && !settings.HasProblems)
        {
            settings.Problem("BACKUP_LOCAL_ENABLED", settings.Text("BACKUP_LOCAL_ENABLED"), "leaves no store of WAL: enable another one, e.g. BACKUP_WAL_S3_ENABLED=true");
        }

        return new WalConfiguration(
            stores, settings.PathOf("BACKUP_SPOOL_DIR") ?? Path.Combine(RepositoryConfiguration.ReadStateDirectory(settings, cluster), "spool"));
    }
}
