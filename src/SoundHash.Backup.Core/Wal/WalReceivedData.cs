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
    /// As <see cref="End"/>, but it ends at the first sector that is all zeros: after a crash of the machine, such a one may be a
    /// hole where data was never written to the disk, though what comes after it was.
    /// </summary>
    public static long EndBeforeHole(FileStream file, long from, long limit)
    {
        var sector = new byte[SectorBytes];
        for (var at = from - (from % SectorBytes); at < limit; at += SectorBytes)
        {
            file.Position = at;
            file.ReadExactly(sector);
            if (!sector.AsSpan().ContainsAnyExcept((byte)0))
            {
                return End(file, from, Math.Max(from, at));
            }
        }

        return End(file, from, limit);
    }
}
