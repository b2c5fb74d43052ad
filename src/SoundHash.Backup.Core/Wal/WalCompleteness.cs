using System.Globalization;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Wal;

/// <summary>
/// Whether a data directory is done with writing a segment. Its file says nothing by being there: it has its length and its name
/// before its content. A mark in archive_status proves it neither: in a copy of a running server, mark and file may be of different
/// moments. So the log itself has to go on to the segment's end.
/// </summary>
internal static class WalCompleteness
{
    /// <summary>Why a segment in pg_wal may not be whole; null when it surely is.</summary>
    /// <param name="data">The data directory.</param>
    /// <param name="segment">The segment, which is in its pg_wal.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="Errors.BackupException">It can't be read.</exception>
    public static string? Doubt(DataDirectory data, WalSegment segment, CancellationToken cancel)
    {
        var name = WalFileName.Parse(segment.Name);
        if (WalSegmentLog.TryRead(data.PathOf(name), cancel) is not { } log || !log.Is(name, data.SystemIdentifier))
        {
            return "it holds another segment than its name says";
        }

        return Doubt(log) ?? (IsMarked(data, name) || HasLater(data, segment) ? null
            : "it has no mark in pg_wal/archive_status, and no later segment of its timeline is in pg_wal");
    }

    /// <summary>Why a segment's file may not be whole, wherever it is; null where the log in it goes on to its end.</summary>
    /// <exception cref="Errors.BackupException">It can't be read.</exception>
    public static string? Doubt(string path, CancellationToken cancel) =>
        WalSegmentLog.TryRead(path, cancel) is { } log ? Doubt(log) : "it does not begin like a segment";

    private static string? Doubt(WalSegmentLog log) => log.IsWhole ? null : string.Create(
        CultureInfo.InvariantCulture,
        $"the log in it ends at {new Lsn(log.Header.Start.Value + (ulong)log.End)}, and the segment at {new Lsn(log.Header.Start.Value + (ulong)log.Header.SegmentBytes)}");

    // PostgreSQL makes either mark when it is done with a segment (XLogArchiveNotify, XLogArchiveForceDone).
    private static bool IsMarked(DataDirectory data, WalFileName name) =>
        File.Exists(data.ReadyMarkOf(name)) || File.Exists(Path.Combine(data.ArchiveStatusFolder, $"{name}.done"));

    // It syncs a segment before it writes the first byte of the next one (src/backend/access/transam/xlog.c, XLogWrite).
    private static bool HasLater(DataDirectory data, WalSegment segment)
    {
        var first = new byte[WalHeader.Bytes];
        foreach (var path in Directory.EnumerateFiles(data.WalFolder))
        {
            // The first segment of a new timeline begins as the old one's did.
            if (WalSegment.TryParse(Path.GetFileName(path), segment.SizeBytes, out var other) && other.Number > segment.Number
                && HeaderOf(path, first) is { } header
                && header.Start == other.Start && header.Timeline == segment.Timeline && header.SystemIdentifier == data.SystemIdentifier)
            {
                return true;
            }
        }

        return false;
    }

    // Null too where PostgreSQL has renamed or removed it since it was listed.
    private static WalHeader? HeaderOf(string path, byte[] first)
    {
        try
        {
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return WalHeader.TryRead(first.AsSpan(0, RandomAccess.Read(file, first, 0)));
        }
        catch (IOException)
        {
            return null;
        }
    }
}
