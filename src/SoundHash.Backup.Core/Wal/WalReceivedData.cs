namespace SoundHash.Backup.Wal;

/// <summary>Where the data of a segment ends that pg_receivewal has filled with zeros before it began to write.</summary>
internal static class WalReceivedData
{
    // What a disk writes whole or not at all.
    private const int SectorBytes = 512;
    private const int ChunkBytes = 1024 * 1024;

    /// <summary>
    /// The end of the last byte between two offsets that is not zero; the first offset when there is none. Zeros that were
    /// received are no loss: what is missing of a segment is taken for zeros.
    /// </summary>
    public static long End(FileStream file, long from, long limit)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(ChunkBytes);
        for (var end = limit; end > from;)
        {
            var start = Math.Max(from, end - ChunkBytes);
            var chunk = buffer.AsSpan(0, (int)(end - start));
            file.Position = start;
            file.ReadExactly(chunk);
            if (chunk.LastIndexOfAnyExcept((byte)0) is var last and >= 0)
            {
                return start + last + 1;
            }

            end = start;
        }

        return from;
    }

    /// <summary>
    /// What is sure of a segment after a crash of the machine, in bytes from its beginning: up to its last whole record. Any sector
    /// may be one from before the last writes, or none at all, though what comes after it reached the disk: only a record's
    /// checksum tells. Half a record is worth nothing to a recovery.
    /// </summary>
    public static long EndOfSure(string path, CancellationToken cancel)
    {
        if (WalSegmentLog.TryRead(path, cancel) is not { } log)
        {
            return 0;
        }

        // Without the checksum of the record that began in the segment before, a sector that ends with a zero may have been longer.
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var sector = new byte[SectorBytes];
        for (var at = 0L; at < log.Unproven; at += SectorBytes)
        {
            file.ReadExactly(sector);
            if (sector[^1] == 0)
            {
                return at;
            }
        }

        return log.End;
    }
}
