using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// The local folder of one data directory: acknowledgements of segments that were archived ahead of PostgreSQL's asking, and
/// segments that were fetched ahead. Nothing in it is needed: whoever loses it only works again.
/// </summary>
public sealed class WalSpool
{
    private WalSpool(string folder) => Folder = folder;

    /// <summary>Its path, as the generated commands name it too.</summary>
    public string Folder { get; }

    /// <summary>What stores lack that can be done without (<see cref="WalBehind"/>).</summary>
    public string BehindFolder => Path.Combine(Folder, "behind");

    /// <summary>What has to do with fetching ahead.</summary>
    public string FetchFolder => Path.Combine(Folder, "fetch");

    /// <summary>
    /// Segments that were fetched ahead in this run of the machine. They are not synced, which would cost more than to fetch them
    /// again: after a crash of the machine they may be torn, and nobody looks for them there any more.
    /// </summary>
    /// <exception cref="IOException">The system does not say which run it is.</exception>
    public string FetchedFolder => Path.Combine(FetchFolder, File.ReadAllText(WalCommandText.BootIdFile).Trim());

    /// <summary>
    /// The spool of a data directory: named by cluster and path, since two copies of one cluster may run on one machine.
    /// </summary>
    /// <param name="root">BACKUP_SPOOL_DIR.</param>
    /// <param name="systemIdentifier">The cluster.</param>
    /// <param name="dataDirectory">Its path without symbolic links, as PostgreSQL's own working directory is.</param>
    public static WalSpool Of(string root, ulong systemIdentifier, string dataDirectory)
    {
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(dataDirectory)))[..12];
        return new WalSpool(Path.Combine(root, string.Create(CultureInfo.InvariantCulture, $"{systemIdentifier}-{hash}")));
    }

    /// <summary>Makes the folders where they are missing.</summary>
    /// <exception cref="BackupException">They can't be made.</exception>
    public void Make()
    {
        try
        {
            LocalFiles.MakeOwnDirectories(FetchFolder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"can't make the spool {Folder}: {e.Message}",
                "set BACKUP_SPOOL_DIR to a directory that PostgreSQL's user may write",
                e);
        }
    }

    /// <summary>The acknowledgement of a segment. PostgreSQL's command believes it only when it is newer than the segment.</summary>
    public string AcknowledgementOf(WalFileName name) => Path.Combine(Folder, name.Name);

    /// <summary>Says that a segment is archived. Without it, PostgreSQL's command only asks again.</summary>
    public void Acknowledge(WalFileName name) => Mark(AcknowledgementOf(name));

    /// <summary>True when WAL of the data directory has been archived in a store before.</summary>
    public bool HasArchivedIn(string store) => File.Exists(MarkOf(Folder, store));

    /// <summary>Where it is remembered that a store has been archived to.</summary>
    internal static string MarkOf(string folder, string store) => Path.Combine(folder, store == "local" ? "archived" : $"archived-{store}");

    /// <summary>Remembers that WAL of the data directory is in stores, so that one that is empty later is not taken for a new one.</summary>
    public void RememberArchive(IEnumerable<string> stores)
    {
        foreach (var store in stores.Where(s => !HasArchivedIn(s)))
        {
            Mark(MarkOf(Folder, store));
        }
    }

    private static void Mark(string path)
    {
        File.WriteAllBytes(path, []);
        FolderOwner.Take(path);
    }

    /// <summary>Removes acknowledgements that PostgreSQL has used, or that are of no use.</summary>
    /// <param name="waiting">Segments that still wait for PostgreSQL to ask.</param>
    public void RemoveSpent(IReadOnlySet<string> waiting)
    {
        foreach (var path in Directory.EnumerateFiles(Folder))
        {
            var name = Path.GetFileName(path);
            if (WalFileName.TryParse(name) is not null && !waiting.Contains(name))
            {
                File.Delete(path);
            }
        }
    }

    /// <summary>
    /// Forgets everything: acknowledgements and prefetched segments of an earlier life of the data directory. What stores lack they
    /// lack all the same, and stays remembered.
    /// </summary>
    public void Clear()
    {
        if (!Directory.Exists(Folder))
        {
            return;
        }

        if (!Directory.Exists(BehindFolder))
        {
            Directory.Delete(Folder, recursive: true);
            return;
        }

        foreach (var entry in new DirectoryInfo(Folder).EnumerateFileSystemInfos().Where(e => e.FullName != BehindFolder))
        {
            if (entry is DirectoryInfo directory)
            {
                directory.Delete(recursive: true);
            }
            else
            {
                entry.Delete();
            }
        }
    }
}
