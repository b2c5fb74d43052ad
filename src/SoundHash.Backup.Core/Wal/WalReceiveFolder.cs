using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Wal;

/// <summary>A file of the folder that pg_receivewal writes into.</summary>
/// <param name="Path">Absolute.</param>
/// <param name="Name">The segment, or the history of a timeline.</param>
/// <param name="IsPartial">The segment is being written.</param>
/// <param name="Length">Bytes; of a segment the segment size, since pg_receivewal fills one with zeros before it writes.</param>
internal sealed record WalReceiveFile(string Path, WalFileName Name, bool IsPartial, long Length)
{
    /// <summary>The file as a segment; null for a history, and for a segment that is not filled yet.</summary>
    public WalSegment? Segment =>
        WalSegment.IsSize(Length) && WalSegment.TryParse(Name.Name, (int)Length, out var segment) ? segment : null;

    /// <summary>The number of a segment without its timeline, and then the timeline: the order in which they are written.</summary>
    public string Order => Name.Kind == WalFileKind.Segment ? $"{Name.Name[8..]}{Name.Timeline}" : string.Empty;
}

/// <summary>
/// The folder that pg_receivewal writes into: <c>receive/SYSTEM</c> in the spool. It holds what the archive does not have yet and
/// what tells pg_receivewal where to go on, so that it is no folder to lose.
/// </summary>
internal sealed class WalReceiveFolder(string root, ulong systemIdentifier)
{
    private const string PartialSuffix = ".partial";
    private const string UnsyncedSuffix = ".unsynced";

    /// <summary>The folder of all clusters in a spool.</summary>
    public static string RootIn(string spool) => System.IO.Path.Combine(spool, "receive");

    /// <summary>The clusters that have a folder.</summary>
    public static IReadOnlyList<ulong> Systems(string root) => !Directory.Exists(root) ? [] : Directory.EnumerateDirectories(root)
        .Select(static d => ulong.TryParse(System.IO.Path.GetFileName(d), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0)
        .Where(static id => id > 0).ToList();

    /// <summary>Absolute path.</summary>
    public string Path { get; } = System.IO.Path.Combine(root, systemIdentifier.ToString(CultureInfo.InvariantCulture));

    /// <summary>True when the archive has been used from here before: an empty one is then one that is not mounted, say.</summary>
    public bool HasArchived => Directory.Exists(Path) && Directory.EnumerateFiles(Path, "archived*").Any();

    /// <summary>The same of one store.</summary>
    public bool HasArchivedIn(string store) => File.Exists(WalSpool.MarkOf(Path, store));

    private string BootMark => System.IO.Path.Combine(Path, "boot");

    /// <summary>Makes the folder, which is then of the owner of the one around it.</summary>
    /// <exception cref="BackupException">It can't be made.</exception>
    public void Make() => Guarded(() => LocalFiles.MakeOwnDirectories(Path));

    /// <summary>Remembers that the archive is there.</summary>
    public void RememberArchive(IEnumerable<string> stores) => Guarded(() =>
    {
        foreach (var mark in stores.Select(s => WalSpool.MarkOf(Path, s)).Where(static m => !File.Exists(m)))
        {
            File.WriteAllBytes(mark, []);
            FolderOwner.Take(mark);
        }
    });

    /// <summary>
    /// True when the machine was not restarted since the folder was last written to. What pg_receivewal wrote and did not sync
    /// is then there all the same, however it and we ended; after a crash of the machine, any part of it may be missing.
    /// </summary>
    public bool IsOfThisBoot => File.Exists(BootMark) && File.ReadAllText(BootMark) == File.ReadAllText(WalCommandText.BootIdFile);

    /// <summary>Remembers that what is written from now on is written in this run of the machine.</summary>
    public void RememberBoot() => Guarded(() =>
    {
        File.WriteAllText(BootMark, File.ReadAllText(WalCommandText.BootIdFile));
        FolderOwner.Take(BootMark);
    });

    /// <summary>What pg_receivewal has made, in the order in which it was written; histories first.</summary>
    /// <exception cref="BackupException">It can't be looked into.</exception>
    public IReadOnlyList<WalReceiveFile> Scan()
    {
        var found = new List<WalReceiveFile>();
        Guarded(() =>
        {
            foreach (var file in new DirectoryInfo(Path).EnumerateFiles())
            {
                var isPartial = file.Name.EndsWith(PartialSuffix, StringComparison.Ordinal);
                if (WalFileName.TryParse(isPartial ? file.Name[..^PartialSuffix.Length] : file.Name) is { } name
                    && name.Kind is WalFileKind.Segment or WalFileKind.TimelineHistory)
                {
                    // pg_receivewal that root runs makes files of root's, which the receiver of the folder's owner could not go on with.
                    FolderOwner.Take(file.FullName);
                    found.Add(new WalReceiveFile(file.FullName, name, isPartial, LengthOf(file)));
                }
            }
        });
        return found.Where(static f => f.Length >= 0).OrderBy(static f => f.Order, StringComparer.Ordinal).ToList();
    }

    /// <summary>The history of a timeline; null where there is none.</summary>
    /// <exception cref="BackupException">It is damaged.</exception>
    public TimelineHistory? HistoryOf(uint timeline)
    {
        var path = System.IO.Path.Combine(Path, TimelineHistory.NameOf(timeline));
        try
        {
            return File.Exists(path) ? TimelineHistory.Parse(timeline, File.ReadAllText(path)) : null;
        }
        catch (FormatException e)
        {
            throw new BackupException(ErrorKind.Verification, $"{path} is damaged: {e.Message}", "remove it: it is received again", e);
        }
    }

    /// <summary>
    /// Makes the folder such that pg_receivewal goes on in it. A segment that it was still filling with zeros when it was killed
    /// would stop it for ever (src/bin/pg_basebackup/receivelog.c, open_walfile: "should be 0 or"); nothing was written to it.
    /// </summary>
    /// <param name="segmentBytes">The server's segment size.</param>
    /// <param name="start">
    /// Where to begin when the folder is empty; null lets pg_receivewal ask the slot, which servers from version 15 on can tell.
    /// </param>
    public void Prepare(int segmentBytes, WalSegment? start) => Guarded(() =>
    {
        var segments = Scan().Where(static f => f.Name.Kind == WalFileKind.Segment).ToList();
        foreach (var file in segments.Where(f => f.IsPartial && f.Length != segmentBytes))
        {
            using var open = new FileStream(file.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            open.SetLength(0);
        }

        if (segments.Count == 0 && start is { } first)
        {
            File.WriteAllBytes(System.IO.Path.Combine(Path, first.Name + PartialSuffix), []);
        }
    });

    /// <summary>
    /// Puts a segment aside that was being written when the machine crashed, so that pg_receivewal receives it anew from its
    /// beginning. It is kept until the segment is archived: it may hold what the server has lost. Of one that was put aside in an
    /// earlier crash too, that file is kept which is sure further.
    /// </summary>
    public void PutAside(WalReceiveFile partial) => Guarded(() =>
    {
        var aside = PathOfPutAside(partial.Name);
        if (WalReceivedData.EndOfSure(aside, CancellationToken.None) <= WalReceivedData.EndOfSure(partial.Path, CancellationToken.None))
        {
            File.Move(partial.Path, aside, overwrite: true);
        }

        File.WriteAllBytes(partial.Path, []);
        LocalFiles.SyncDirectory(Path);
    });

    /// <summary>The segments that were put aside.</summary>
    /// <exception cref="BackupException">They can't be looked for.</exception>
    public IReadOnlyList<WalReceiveFile> ScanPutAside()
    {
        var found = new List<WalReceiveFile>();
        Guarded(() => found.AddRange(new DirectoryInfo(Path).EnumerateFiles($"*{PartialSuffix}{UnsyncedSuffix}")
            .Select(static f => (File: f, Name: WalFileName.TryParse(f.Name[..^(PartialSuffix.Length + UnsyncedSuffix.Length)])))
            .Where(static f => f.Name?.Kind == WalFileKind.Segment)
            .Select(static f => new WalReceiveFile(f.File.FullName, f.Name!, IsPartial: true, f.File.Length))));
        return found.OrderBy(static f => f.Order, StringComparer.Ordinal).ToList();
    }

    /// <summary>Removes what was put aside of a segment.</summary>
    public void RemovePutAside(WalFileName segment) => Guarded(() => File.Delete(PathOfPutAside(segment)));

    /// <summary>Removes a file, durably.</summary>
    public void Remove(WalReceiveFile file) => Guarded(() =>
    {
        File.Delete(file.Path);
        LocalFiles.SyncDirectory(Path);
    });

    private string PathOfPutAside(WalFileName segment) => System.IO.Path.Combine(Path, segment.Name + PartialSuffix + UnsyncedSuffix);

    // It may have been renamed since it was listed.
    private static long LengthOf(FileInfo file)
    {
        try
        {
            return file.Length;
        }
        catch (FileNotFoundException)
        {
            return -1;
        }
    }

    private void Guarded(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Storage, $"the folder {Path} can't be used: {e.Message}", "check its owner, its mode and its free space", e);
        }
    }
}
