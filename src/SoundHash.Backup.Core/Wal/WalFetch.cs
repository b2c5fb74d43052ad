using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Wal;

/// <summary>Brings files of the archive back, checked against their hash and written beside their place first.</summary>
/// <param name="archives">The archive in each store, the first to be asked first.</param>
/// <param name="providers">Makes the provider of a method.</param>
/// <param name="time">The clock.</param>
/// <param name="log">For what is out of the ordinary.</param>
public sealed class WalFetch(
    IReadOnlyList<WalArchive> archives, Func<EncryptionMethod, IEncryptionProvider> providers, TimeProvider time, ILogger log)
{
    private const int Attempts = 3;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Fetches a file; false when no store has it, which every one of them said. A store that can't be asked is asked again,
    /// and then is an error: PostgreSQL takes "no such segment" for the end of the log.
    /// </summary>
    /// <param name="name">The file.</param>
    /// <param name="path">Where to; it appears whole or not at all.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It can't be told whether it is there, or it is damaged in every store.</exception>
    public async Task<bool> RunAsync(WalFileName name, string path, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            var failures = new List<BackupException>();
            foreach (var archive in archives)
            {
                try
                {
                    if (await TryAsync(archive, name, path, cancel))
                    {
                        return true;
                    }
                }
                catch (BackupException e) when (!cancel.IsCancellationRequested)
                {
                    log.Warning("{Message:l}", e.Message);
                    failures.Add(e);
                }
            }

            if (failures.Count == 0)
            {
                return false;
            }

            if (attempt == Attempts || failures.TrueForAll(static f => f.Kind != ErrorKind.Storage))
            {
                throw failures[0];
            }

            await Task.Delay(Pause * attempt, time, cancel);
        }
    }

    private async Task<bool> TryAsync(WalArchive archive, WalFileName name, string path, CancellationToken cancel)
    {
        if (await archive.OpenAsync(name, providers, cancel) is not { } plain)
        {
            // Of a disk that is not mounted, or another directory than the one that is meant, every file is absent.
            return await archive.ExistsAsync(cancel)
                ? false
                : throw new StorageException(
                    $"store {archive.StoreName} has no WAL of system identifier {archive.SystemIdentifier} at all, so that it can't tell "
                    + $"whether {name} was archived",
                    "see whether the disk is mounted, and that BACKUP_WAL_DIR and BACKUP_CLUSTER are as they were when it was archived");
        }

        await using (plain)
        {
            await WriteAsync(archive, name, plain, path, cancel);
            return true;
        }
    }

    private static async Task WriteAsync(WalArchive archive, WalFileName name, Stream plain, string path, CancellationToken cancel)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        try
        {
            await using var file = new FetchedFile(name, path);
            int read;
            while ((read = await plain.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancel)) > 0)
            {
                if (file.Content.Position == 0)
                {
                    EnsureGenuine(archive, name, buffer.AsSpan(0, read));
                }

                await file.Content.WriteAsync(buffer.AsMemory(0, read), cancel);
            }

            await file.PublishAsync(cancel);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(ErrorKind.Failed, $"can't write {path}: {e.Message}", "check the directory and its free space", e);
        }
    }

    // The hash says that it is what was archived; this, that it was archived under the right name.
    private static void EnsureGenuine(WalArchive archive, WalFileName name, ReadOnlySpan<byte> first)
    {
        if (name.Kind == WalFileKind.Segment
            && WalHeader.TryRead(first) is var header
            && (header is null || header.SystemIdentifier != archive.SystemIdentifier || !WalSegment.IsSize(header.SegmentBytes)
                || !WalSegment.TryParse(name.Name, (int)header.SegmentBytes, out var segment) || segment.Start != header.Start))
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"WAL file {name} in store {archive.StoreName} holds another segment than its name says",
                "see who else writes to that archive; shbackup wal-archive verify");
        }
    }
}
