using System.Buffers.Binary;
using System.Numerics;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Wal;

/// <summary>
/// How far the log in a segment's file goes, by its pages and records (src/include/access/xlogrecord.h, xlog_internal.h): the
/// file has its full length from the moment PostgreSQL makes it, with zeros or an older segment behind what is written yet.
/// </summary>
/// <param name="Header">The file's header.</param>
/// <param name="End">The end of the last whole record in it, in bytes from the file's beginning.</param>
/// <param name="Unproven">Length of the part, at the beginning, of a record whose header and checksum are in the segment before.</param>
/// <param name="IsWhole">The log goes on to the file's end, or ends with a switch to the next segment: nothing is to come.</param>
internal sealed record WalSegmentLog(WalHeader Header, long End, long Unproven, bool IsWhole)
{
    private const int ShortHeaderBytes = 24;
    private const int RecordHeaderBytes = 24;
    private const int CrcOffset = 20;
    private const int InfoOffset = 16;
    private const byte InfoMask = 0xF0;
    private const byte SwitchInfo = 0x40;
    private const int Continues = 0x0001;
    private const int IsLong = 0x0002;
    private const int OverwritesContinued = 0x0008;

    /// <summary>Reads a file; null when there is none, or it does not begin like a segment.</summary>
    /// <exception cref="BackupException">It can't be read.</exception>
    public static WalSegmentLog? TryRead(string path, CancellationToken cancel)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1 << 20, FileOptions.SequentialScan);
            return TryRead(file, cancel);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(ErrorKind.Failed, $"can't read {path}: {e.Message}", "run this as the user that PostgreSQL runs as", e);
        }
    }

    /// <summary>As <see cref="TryRead(string, CancellationToken)"/>, of a file that is open.</summary>
    public static WalSegmentLog? TryRead(FileStream file, CancellationToken cancel)
    {
        var first = new byte[WalHeader.Bytes];
        file.Position = 0;
        if (file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false) < first.Length || WalHeader.TryRead(first) is not { } header)
        {
            return null;
        }

        var pageBytes = BinaryPrimitives.ReadUInt32LittleEndian(first.AsSpan(36));
        if (pageBytes is < 1024 or > 65536 || !BitOperations.IsPow2(pageBytes) || !WalSegment.IsSize(header.SegmentBytes) || file.Length != header.SegmentBytes)
        {
            return new WalSegmentLog(header, 0, 0, false);
        }

        file.Position = 0;
        var reader = new Reader(header, (int)pageBytes);
        var (end, isWhole) = reader.Read(file, cancel);
        return new WalSegmentLog(header, end, Math.Min(reader.Unproven, end), isWhole);
    }

    /// <summary>True when a file of a segment's name is that segment, and not one that waits to be used again under it.</summary>
    public bool Is(WalFileName name, ulong systemIdentifier) =>
        Header.SystemIdentifier == systemIdentifier && WalSegment.IsSize(Header.SegmentBytes)
        && WalSegment.TryParse(name.Name, (int)Header.SegmentBytes, out var segment)
        && segment.Start == Header.Start && Header.Timeline <= segment.Timeline;

    private sealed class Reader(WalHeader header, int pageBytes)
    {
        private readonly byte[] _page = new byte[pageBytes];
        private readonly byte[] _recordHeader = new byte[RecordHeaderBytes];
        private uint _crc;

        // Of the record being read: bytes read, and bytes to come.
        private long _read;
        private long _missing;

        // The beginning of that one is in the segment before.
        private bool _isHeadless;
        private bool _isSwitch;

        public long Unproven { get; private set; }

        public (long End, bool IsWhole) Read(FileStream file, CancellationToken cancel)
        {
            var end = 0L;
            for (var start = 0L; start < header.SegmentBytes; start += pageBytes)
            {
                cancel.ThrowIfCancellationRequested();
                file.ReadExactly(_page);
                if (!TryBeginPage(start, out var at))
                {
                    return (end, false);
                }

                while (at < pageBytes)
                {
                    if (_missing == 0 && !TryBeginRecord(at))
                    {
                        return (end, false);
                    }

                    var part = (int)Math.Min(_missing, pageBytes - at);
                    Take(_page.AsSpan(at, part));
                    at = Math.Min(pageBytes, (at + part + 7) & ~7);
                    if (_missing > 0)
                    {
                        continue;
                    }

                    if (!IsGenuine())
                    {
                        return (end, false);
                    }

                    end = start + at;
                    Unproven = _isHeadless ? end : Unproven;
                    if (_isSwitch)
                    {
                        return (end, true);
                    }
                }
            }

            Unproven = _isHeadless && _missing > 0 ? header.SegmentBytes : Unproven;
            return (header.SegmentBytes, true);
        }

        // False where the log has not come to yet: there is an older segment's page, or nothing.
        private bool TryBeginPage(long start, out int at)
        {
            var info = BinaryPrimitives.ReadUInt16LittleEndian(_page.AsSpan(2));
            at = (info & IsLong) != 0 ? WalHeader.Bytes : ShortHeaderBytes;
            if (BinaryPrimitives.ReadUInt16LittleEndian(_page) != header.Magic
                || BinaryPrimitives.ReadUInt64LittleEndian(_page.AsSpan(8)) != header.Start.Value + (ulong)start)
            {
                return false;
            }

            if ((info & OverwritesContinued) != 0)
            {
                // A crash had cut the record before it, and the server has given it up.
                _missing = 0;
                return true;
            }

            var continued = (info & Continues) != 0 ? BinaryPrimitives.ReadUInt32LittleEndian(_page.AsSpan(16)) : 0;
            if (start == 0)
            {
                (_missing, _isHeadless, _isSwitch) = (continued, continued > 0, false);
                return true;
            }

            return continued == _missing;
        }

        private bool TryBeginRecord(int at)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(_page.AsSpan(at));
            (_missing, _read, _isHeadless, _isSwitch, _crc) = (length, 0, false, false, Crc32C.Start);
            return length >= RecordHeaderBytes;
        }

        private void Take(ReadOnlySpan<byte> part)
        {
            _missing -= part.Length;
            if (_isHeadless)
            {
                return;
            }

            var ofHeader = (int)Math.Min(part.Length, Math.Max(0, RecordHeaderBytes - _read));
            part[..ofHeader].CopyTo(_recordHeader.AsSpan((int)Math.Min(_read, RecordHeaderBytes)));
            _crc = Crc32C.Add(_crc, part[ofHeader..]);
            _read += part.Length;
        }

        // The checksum is of the data first, and then of the header before it (src/backend/access/transam/xloginsert.c).
        private bool IsGenuine()
        {
            if (_isHeadless)
            {
                return true;
            }

            // XLOG_SWITCH of the resource manager XLOG, which is 0.
            _isSwitch = (_recordHeader[InfoOffset] & InfoMask) == SwitchInfo && _recordHeader[InfoOffset + 1] == 0;
            return Crc32C.Finish(Crc32C.Add(_crc, _recordHeader.AsSpan(0, CrcOffset)))
                == BinaryPrimitives.ReadUInt32LittleEndian(_recordHeader.AsSpan(CrcOffset));
        }
    }
}
