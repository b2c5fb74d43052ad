using System.Globalization;
using System.Security.Cryptography;
using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// WAL in the pg_wal of an old data directory that the archive does not have: transactions that are nowhere else. It is saved
/// beside the data directory before anything is changed, and left in pg_wal, where recovery finds it when the archive has no more.
/// </summary>
/// <param name="Files">Each file by its name, with its path.</param>
/// <param name="Seen">All files of WAL in pg_wal when it was looked at.</param>
internal sealed record OldWal(IReadOnlyDictionary<string, string> Files, IReadOnlySet<(string Name, long Size, DateTimeOffset Modified)> Seen)
{
    private const string Folder = "pg_wal";
    private const string SavedInfix = ".saved-wal-";

    /// <summary>That of a directory without an old cluster.</summary>
    public static OldWal None { get; } = new(new Dictionary<string, string>(), new HashSet<(string, long, DateTimeOffset)>());

    /// <summary>Where the old WAL of a data directory is saved.</summary>
    public static string SavedFor(string dataDirectory, DateTimeOffset now) =>
        string.Create(CultureInfo.InvariantCulture, $"{dataDirectory}{SavedInfix}{now:yyyyMMdd_HHmmss}");

    /// <summary>True for a path that <see cref="SavedFor"/> makes.</summary>
    public static bool IsSavedOf(string dataDirectory, string path) =>
        path.StartsWith(dataDirectory + SavedInfix, StringComparison.Ordinal)
        && DateTime.TryParseExact(
            path[(dataDirectory.Length + SavedInfix.Length)..], "yyyyMMdd_HHmmss", CultureInfo.InvariantCulture, DateTimeStyles.None, out _);

    /// <summary>The history of a timeline; null when it is not in it.</summary>
    /// <exception cref="BackupException">It is damaged.</exception>
    public TimelineHistory? HistoryOf(uint timeline)
    {
        if (!Files.TryGetValue(TimelineHistory.NameOf(timeline), out var path))
        {
            return null;
        }

        try
        {
            return TimelineHistory.Parse(timeline, File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new BackupException(ErrorKind.Verification, $"can't read {path}: {e.Message}", "choose another timeline with --timeline", e);
        }
    }

    /// <summary>Looks for what the archive lacks, has other bytes of, or can't bring back.</summary>
    /// <param name="dataDirectory">The old data directory.</param>
    /// <param name="archive">The archive.</param>
    /// <param name="providers">Makes the provider of a method.</param>
    /// <param name="log">Hears of what is damaged.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It can't be read, or is not there as it should be.</exception>
    public static async Task<OldWal> FindAsync(
        string dataDirectory, WalArchive archive, Func<EncryptionMethod, IEncryptionProvider> providers, ILogger log, CancellationToken cancel)
    {
        var folder = Path.Combine(dataDirectory, Folder);
        var found = new Dictionary<string, string>();
        try
        {
            EnsureThere(dataDirectory, folder);
            var seen = Look(folder);
            if (seen.Count == 0 && File.Exists(Path.Combine(dataDirectory, ControlFile.RelativePath)))
            {
                log.Warning("{Folder:l} has no WAL at all: if it is a place where a disk is mounted, that disk is not", folder);
            }

            foreach (var (name, path) in seen.Select(s => (WalFileName.Parse(s.Name), Path.Combine(folder, s.Name))))
            {
                if (name.Kind != WalFileKind.BackupHistory && await IsOfAsync(path, name, archive.SystemIdentifier, cancel)
                    && !await IsArchivedAsync(path, name, archive, providers, log, cancel))
                {
                    found[name.Name] = path;
                }
            }

            return new OldWal(found, seen);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new BackupException(
                ErrorKind.Failed, $"can't read {folder}: {e.Message}", "run this as root or as the user that PostgreSQL runs as", e);
        }
    }

    /// <summary>Refuses to go on when a server has been at work since it was looked at: what came since is not saved.</summary>
    /// <exception cref="BackupException">The WAL is another.</exception>
    public void EnsureUnchanged(string dataDirectory)
    {
        var folder = Path.Combine(dataDirectory, Folder);
        if (!Seen.SetEquals(Look(folder)))
        {
            throw new BackupException(
                ErrorKind.Failed, $"the WAL in {folder} has changed since it was looked at; nothing was changed", "see what works there, and restore again");
        }
    }

    // A link in the place of a file is none of PostgreSQL's, and is not followed.
    private static HashSet<(string Name, long Size, DateTimeOffset Modified)> Look(string folder) => (Directory.Exists(folder) ? Directory.GetFiles(folder) : [])
        .Where(static p => WalFileName.TryParse(Path.GetFileName(p)) is not null)
        .Select(static p => (Path: p, Found: LocalFiles.Look(p, follow: false)))
        .Where(static f => f.Found is { Kind: FileKind.File })
        .Select(static f => (Path.GetFileName(f.Path), f.Found!.Value.Size, f.Found.Value.Modified)).ToHashSet();

    // An unfinished restore may have none yet.
    private static void EnsureThere(string dataDirectory, string folder)
    {
        if (!Directory.Exists(folder)
            && (LocalFiles.Look(folder, follow: false) is not null || File.Exists(Path.Combine(dataDirectory, ControlFile.RelativePath))))
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"{folder} is not there{(new FileInfo(folder).LinkTarget is { } target ? $": it is a link to {target}" : string.Empty)}; it may hold "
                + "WAL that no archive has; nothing was changed",
                $"mount its disk, or bring it back; when it is lost for good: rm -f {folder} && mkdir {folder}");
        }
    }

    /// <summary>
    /// Copies it to a folder, durably; each file appears whole or not at all. One of that name with other content is kept beside:
    /// nobody can tell here which of the two is worth more.
    /// </summary>
    public void Save(string folder, DataOwner? owner)
    {
        var writer = new DataWriter(folder, owner);
        switch (LocalFiles.Look(folder, follow: false)?.Kind)
        {
            case null:
                writer.MakeDirectory(string.Empty);
                break;
            case not FileKind.Directory:
                throw new BackupException(ErrorKind.Failed, $"{folder}, where old WAL is to be saved, is no directory; nothing was changed", "move it away");
        }

        foreach (var (name, path) in Files)
        {
            var (copy, temporary) = (writer.PathOf(name), writer.PathOf($"{AtomicFile.TemporaryPrefix}{name}"));
            if (LocalFiles.Look(copy, follow: false) is { } there)
            {
                if (there.Kind == FileKind.File && HasSameContent(path, copy))
                {
                    // Whoever wrote it may have been stopped before it was durable.
                    Sync(copy);
                    continue;
                }

                File.Move(copy, FreeNameBeside(copy));
            }

            File.Delete(temporary);
            using (var from = File.OpenRead(path))
            using (var to = writer.Create(temporary))
            {
                from.CopyTo(to);
                to.Sync();
            }

            File.Move(temporary, copy);
        }

        LocalFiles.SyncDirectory(folder);
        LocalFiles.SyncDirectory(Path.GetDirectoryName(folder)!);
    }

    private static void Sync(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        RandomAccess.FlushToDisk(file);
    }

    private static string FreeNameBeside(string path)
    {
        var number = 1;
        while (LocalFiles.Look(Numbered(), follow: false) is not null)
        {
            number++;
        }

        return Numbered();

        string Numbered() => string.Create(CultureInfo.InvariantCulture, $"{path}.other-{number}");
    }

    private static bool HasSameContent(string one, string other)
    {
        using var first = File.OpenRead(one);
        using var second = File.OpenRead(other);
        return first.Length == second.Length && SHA256.HashData(first).AsSpan().SequenceEqual(SHA256.HashData(second));
    }

    // A segment that was recycled under a later name still begins with its old header.
    private static async Task<bool> IsOfAsync(string path, WalFileName name, ulong system, CancellationToken cancel)
    {
        if (name.Kind == WalFileKind.TimelineHistory)
        {
            return true;
        }

        var first = new byte[WalHeader.Bytes];
        await using var file = File.OpenRead(path);
        return await file.ReadAtLeastAsync(first, first.Length, throwOnEndOfStream: false, cancel) == first.Length
            && WalHeader.TryRead(first) is { } header && header.SystemIdentifier == system && WalSegment.IsSize(header.SegmentBytes)
            && WalSegment.TryParse(name.Name[..24], (int)header.SegmentBytes, out var segment) && segment.Start == header.Start;
    }

    // What can't be read back is as good as lost.
    private static async Task<bool> IsArchivedAsync(
        string path, WalFileName name, WalArchive archive, Func<EncryptionMethod, IEncryptionProvider> providers, ILogger log, CancellationToken cancel)
    {
        try
        {
            if (!await archive.ConfirmAsync(name, cancel) || await archive.OpenAsync(name, providers, cancel) is not { } archived)
            {
                return false;
            }

            await using (archived)
            {
                await StreamCopy.DrainAsync(archived, null, cancel);
            }

            await using var file = File.OpenRead(path);
            return await archive.SumOfAsync(name, cancel) == Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancel));
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Warning("the archived {Name:l} can't be read, and that of the old pg_wal is kept: {Message:l}", name.Name, e.Message);
            return false;
        }
    }
}
