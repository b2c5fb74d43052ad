using System.Security.Cryptography;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
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

    /// <summary>The histories in it.</summary>
    public IEnumerable<TimelineHistory> Histories => Files.Keys.Select(WalFileName.Parse)
        .Where(static n => n.Kind == WalFileKind.TimelineHistory)
        .Select(n => TimelineHistory.Parse(Convert.ToUInt32(n.Timeline, 16), File.ReadAllText(Files[n.Name])));

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

    /// <summary>Copies it to a folder, durably. What is there already with the same size is left.</summary>
    public void Save(string folder, DataOwner? owner)
    {
        var writer = new DataWriter(folder, owner);
        writer.MakeDirectory(string.Empty);
        foreach (var (name, path) in Files)
        {
            var copy = writer.PathOf(name);
            if (LocalFiles.Look(copy, follow: false) is { } there)
            {
                if (there.Kind == FileKind.File && there.Size == new FileInfo(path).Length)
                {
                    continue;
                }

                File.Delete(copy);
            }

            using var from = File.OpenRead(path);
            using var to = writer.Create(name);
            from.CopyTo(to);
            to.Flush(flushToDisk: true);
        }

        LocalFiles.SyncDirectory(folder);
        LocalFiles.SyncDirectory(Path.GetDirectoryName(folder)!);
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
