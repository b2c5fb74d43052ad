using System.Formats.Tar;
using Microsoft.Win32.SafeHandles;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>What came of a volume.</summary>
/// <param name="Object">The object.</param>
/// <param name="Files">Its files.</param>
/// <param name="Wrong">Pages in them with a wrong checksum.</param>
internal sealed record StoredVolume(ObjectRecord Object, IReadOnlyList<StoredFile> Files, IReadOnlyList<WrongPage> Wrong);

/// <summary>
/// Writes files of a data directory into volumes. A relation's file is read to the size that it was listed with: what comes
/// after that is in the WAL. Any other file is read as it is now, since nothing mends it.
/// </summary>
/// <param name="set">Where to.</param>
/// <param name="pages">How to judge pages, or null for a cluster without checksums.</param>
/// <param name="meter">Counts.</param>
/// <param name="time">The clock.</param>
/// <param name="log">For files that vanished.</param>
internal sealed class VolumeWriter(SetWriter set, PageRules? pages, TransferMeter meter, TimeProvider time, ILogger log)
{
    public async Task<StoredVolume> WriteAsync(int number, IReadOnlyList<DataFile> files, CancellationToken cancel)
    {
        await using var target = await set.CreateAsync(VolumePlan.NameOf(number), ObjectRole.Volume, cancel);
        var stored = new List<StoredFile>();
        var wrong = new List<WrongPage>();
        var tar = new TarWriter(target, TarEntryFormat.Pax, leaveOpen: true);
        foreach (var file in files)
        {
            cancel.ThrowIfCancellationRequested();
            using var handle = TryOpen(file);
            if (handle is null)
            {
                log.Debug("{Path} vanished before it was read", file.Path);
                continue;
            }

            stored.Add(await AddAsync(tar, file, handle, wrong, cancel));
        }

        // Not in a finally: it writes the end of the archive.
        await tar.DisposeAsync();
        await target.CompleteAsync(cancel);
        return new StoredVolume(target.Record, stored.ConvertAll(f => f with { Object = target.Record.Key }), wrong);
    }

    private async Task<StoredFile> AddAsync(
        TarWriter tar, DataFile file, SafeFileHandle handle, List<WrongPage> wrong, CancellationToken cancel)
    {
        var (size, modified) = file.Relation is null
            ? (RandomAccess.GetLength(handle), new DateTimeOffset(File.GetLastWriteTimeUtc(handle)))
            : (file.Size, file.Modified);
        var check = pages is not null && file.Relation is { } relation ? new PageCheck(pages, relation, file.Path) : null;
        await using var content = new EntryContent(
            (buffer, offset, _) => ValueTask.FromResult(Read(file, handle, buffer, offset)), size, check, meter);
        await tar.WriteEntryAsync(EntryOf(file.Path, file.Mode, modified, content), cancel);
        if (check is { HasSuspects: true })
        {
            wrong.AddRange(await check.JudgeAsync((buffer, offset) => Read(file, handle, buffer, offset), time, cancel));
        }

        return new StoredFile(file.Path, size, modified, content.Crc, content.XxHash, string.Empty);
    }

    /// <summary>An entry of a volume.</summary>
    public static PaxTarEntry EntryOf(string path, UnixFileMode mode, DateTimeOffset modified, Stream content) =>
        new(TarEntryType.RegularFile, path) { Mode = mode, ModificationTime = modified, DataStream = content };

    // Null when it is gone. Whatever else is wrong fails the backup: the file is part of the cluster.
    private static SafeFileHandle? TryOpen(DataFile file)
    {
        try
        {
            return File.OpenHandle(file.Source, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.SequentialScan);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotRead(file, e);
        }
    }

    private static int Read(DataFile file, SafeFileHandle handle, Memory<byte> buffer, long offset)
    {
        try
        {
            return RandomAccess.Read(handle, buffer.Span, offset);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotRead(file, e);
        }
    }

    private static BackupException CannotRead(DataFile file, Exception e) => new(
        ErrorKind.Failed,
        $"can't read {file.Source}: {e.Message}",
        "run this as the user that PostgreSQL runs as, and see the kernel's log for errors of the disk",
        e);
}
