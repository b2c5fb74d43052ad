using System.Globalization;
using System.Security.Cryptography;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// WAL in the pg_wal of an old data directory that the archive does not have: transactions that are nowhere else. It is saved
/// beside the data directory before anything is changed, and left in pg_wal, where recovery finds it when the archive has no more.
/// </summary>
/// <param name="Files">Each file by its name, with its path.</param>
internal sealed record OldWal(IReadOnlyDictionary<string, string> Files)
{
    /// <summary>None.</summary>
    public static OldWal None { get; } = new(new Dictionary<string, string>());

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

    /// <summary>Looks for what the archive lacks, or has other bytes of.</summary>
    /// <exception cref="BackupException">It can't be read.</exception>
    public static async Task<OldWal> FindAsync(string dataDirectory, WalArchive archive, CancellationToken cancel)
    {
        var folder = Path.Combine(dataDirectory, "pg_wal");
        var found = new Dictionary<string, string>();
        try
        {
            foreach (var path in Directory.Exists(folder) ? Directory.GetFiles(folder) : [])
            {
                if (WalFileName.TryParse(Path.GetFileName(path)) is { Kind: not WalFileKind.BackupHistory } name
                    && LocalFiles.Look(path, follow: true) is { Kind: FileKind.File }
                    && await IsOfAsync(path, name, archive.SystemIdentifier, cancel) && !await IsArchivedAsync(path, name, archive, cancel))
                {
                    found[name.Name] = path;
                }
            }

            return new OldWal(found);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new BackupException(
                ErrorKind.Failed, $"can't read {folder}: {e.Message}", "run this as root or as the user that PostgreSQL runs as", e);
        }
    }

    /// <summary>
    /// Copies it to a folder, durably; each file appears whole or not at all. One of that name with other content is kept beside:
    /// nobody can tell here which of the two is worth more.
    /// </summary>
    public void Save(string folder, DataOwner? owner)
    {
        var writer = new DataWriter(folder, owner);
        writer.MakeDirectory(string.Empty);
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

    private static async Task<bool> IsArchivedAsync(string path, WalFileName name, WalArchive archive, CancellationToken cancel)
    {
        if (!await archive.ConfirmAsync(name, cancel))
        {
            return false;
        }

        await using var file = File.OpenRead(path);
        return await archive.SumOfAsync(name, cancel) == Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancel));
    }
}
