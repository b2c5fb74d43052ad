namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// A cluster whose WAL is archived in the layout of docs/formats.md by a shell command, as plain files. It has page checksums,
/// and its pg_wal is a link.
/// </summary>
public class ScriptArchivingCluster : PostgresCluster
{
    /// <summary>The archive: what BACKUP_WAL_DIR is to name.</summary>
    public string WalArchive => Path.Combine(Host, "archive");

    public override string InitdbArguments => $"--data-checksums --waldir='{Host}/wal'";

    public override string Settings => $"wal_level = replica\narchive_mode = on\nautovacuum_naptime = 1\narchive_command = '{ArchiveCommand}'";

    private string ArchiveCommand =>
        $"f=%f; d={WalArchive}/$(od -An -tu8 -N8 global/pg_control | tr -d \" \"); "
        + "[ \"${f%%.history}\" != \"$f\" ] || d=$d/$(echo $f | cut -c1-8); mkdir -p $d && { [ -e $d/$f.sha256 ] || "
        + "{ echo \"$(sha256sum < %p | cut -c1-64)  $f\" > $d/.s && mv $d/.s $d/$f.sha256; }; } && cp %p $d/.t && mv $d/.t $d/$f";

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Directory.CreateDirectory(WalArchive);
        await ArchivingCluster.GiveToPostgresAsync(WalArchive);
    }

    /// <summary>A workspace whose archive is this cluster's.</summary>
    public Workspace Workspace(string database = "postgres") => new Workspace(this, database).Set("BACKUP_WAL_DIR", WalArchive);

    /// <summary>Waits until everything that was committed so far is archived.</summary>
    public async Task ArchiveAllAsync()
    {
        var segment = await TextAsync("postgres", "SELECT pg_walfile_name(pg_switch_wal())");
        await Eventually.TrueAsync(
            () => Directory.Exists(WalArchive) && Directory.GetFiles(WalArchive, segment!, SearchOption.AllDirectories).Length > 0,
            $"{segment} in the archive");
    }
}
