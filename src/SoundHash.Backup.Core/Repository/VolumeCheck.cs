using System.Buffers;
using System.Formats.Tar;
using System.IO.Hashing;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository;

/// <summary>Reads the archives of a physical set and compares every file in them with the set's contents.</summary>
internal sealed class VolumeCheck
{
    private const string OutsideFolder = "outside/";

    // What zstd makes at once: it is hashed and written while the processor's caches hold it.
    private const int PieceBytes = 128 * 1024;


    private readonly string _setId;
    private readonly Dictionary<string, FileRecord> _unseen;
    private readonly HashSet<string> _unseenOutside;

    /// <exception cref="BackupException">The contents name a file twice.</exception>
    public VolumeCheck(string setId, PhysicalContents contents)
    {
        _setId = setId;
        _unseen = new Dictionary<string, FileRecord>(contents.Files.Count);
        _unseenOutside = contents.OutsideFiles.Select(static f => $"{OutsideFolder}{f.TrimStart('/')}")
            .Append("backup_label").Append("backup_manifest").ToHashSet();
        foreach (var file in contents.Files)
        {
            if (!_unseen.TryAdd(file.Path, file))
            {
                throw Wrong($"its contents name {file.Path} twice");
            }
        }
    }

    /// <summary>Reads one archive to its end. Several may be read at once.</summary>
    /// <param name="item">The archive.</param>
    /// <param name="plain">Its bytes.</param>
    /// <param name="meter">Counts.</param>
    /// <param name="open">Where to write a file besides, by its name in the archive; null, or a null stream, only compares.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It is not what the contents say.</exception>
    public async Task ReadAsync(ObjectRecord item, Stream plain, TransferMeter meter, Func<string, Stream?>? open, CancellationToken cancel)
    {
        try
        {
            await using var reader = new TarReader(plain, leaveOpen: true);
            while (await reader.GetNextEntryAsync(copyData: false, cancel) is { } entry)
            {
                var known = See(item, entry);
                using var target = open?.Invoke(entry.Name);
                var found = await MeasureAsync(entry, target, meter, cancel);
                if (known is not null && found != (known.Size, known.Crc32C, known.XxHash128))
                {
                    throw Wrong($"{entry.Name} in {item.Key} has {found.Size} bytes, CRC-32C {found.Crc} and XXH128 {found.XxHash}"
                        + $" where {known.Size}, {known.Crc32C} and {known.XxHash128} were recorded");
                }
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw Wrong($"{item.Key} is no tar archive: {e.Message}");
        }

        // The hash of the whole is checked at the end.
        await StreamCopy.DrainAsync(plain, meter, cancel);
    }

    /// <summary>Says that a file need not be in an archive that is read.</summary>
    public void TakeAsSeen(FileRecord file)
    {
        lock (_unseen)
        {
            _unseen.Remove(file.Path);
        }
    }

    /// <summary>What was in no archive.</summary>
    public IEnumerable<BackupException> Missing() =>
        _unseen.Keys.Concat(_unseenOutside).Select(path => Wrong($"{path} is in the contents and in no archive"));

    // Null for what the contents have no sums of.
    private FileRecord? See(ObjectRecord item, TarEntry entry)
    {
        lock (_unseen)
        {
            if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile))
            {
                throw Wrong($"{entry.Name} in {item.Key} is no regular file");
            }

            if (item.Role == ObjectRole.Final && _unseenOutside.Remove(entry.Name))
            {
                return null;
            }

            return _unseen.Remove(entry.Name, out var known) && known.Object == item.Key
                ? known
                : throw Wrong($"{entry.Name} in {item.Key} is not in the contents, or is there twice or in another archive");
        }
    }

    private static async Task<(long Size, string Crc, string XxHash)> MeasureAsync(
        TarEntry entry, Stream? target, TransferMeter meter, CancellationToken cancel)
    {
        var hash = new XxHash128();
        var (size, crc) = (0L, Crc32C.Start);
        var buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            int read;
            while (entry.DataStream is { } data
                && (read = await data.ReadAtLeastAsync(buffer.AsMemory(0, PieceBytes), PieceBytes, throwOnEndOfStream: false, cancel)) > 0)
            {
                hash.Append(buffer.AsSpan(0, read));
                crc = Crc32C.Add(crc, buffer.AsSpan(0, read));
                target?.Write(buffer.AsSpan(0, read));
                size += read;
                await meter.AddAsync(read, cancel);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return (size, Crc32C.Text(Crc32C.Finish(crc)), Convert.ToHexStringLower(hash.GetCurrentHash()));
    }

    private BackupException Wrong(string how) => new(
        ErrorKind.Verification, $"set {_setId}: {how}", "use another set or copy: shbackup backup list, then shbackup backup verify --all");
}
