using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>A transaction's end in the WAL.</summary>
/// <param name="Xid">Its id, without an epoch.</param>
/// <param name="Time">When.</param>
internal sealed record TransactionEnd(uint Xid, DateTimeOffset Time);

/// <summary>
/// Reads archived WAL with pg_waldump. Segments are decoded into a private folder, in memory where /dev/shm has room for it,
/// and removed. All are given the names of one timeline there, since pg_waldump follows one only.
/// </summary>
/// <param name="archive">The archive.</param>
/// <param name="pieces">Its pieces of segments that were never whole.</param>
/// <param name="old">WAL that is not in the archive and that recovery finds in pg_wal.</param>
/// <param name="waldump">pg_waldump of the cluster's version; null where it is not installed.</param>
/// <param name="launcher">Starts it.</param>
/// <param name="providers">Makes the provider of a method.</param>
internal sealed partial class WalScan(
    WalArchive archive,
    WalPieces pieces,
    OldWal old,
    string? waldump,
    ProcessLauncher launcher,
    Func<EncryptionMethod, IEncryptionProvider> providers)
{
    private const int WindowBytes = 8 * WalSegment.DefaultSizeBytes;
    private const string Memory = "/dev/shm";

    /// <summary>True where WAL can be read here.</summary>
    public bool IsPossible => waldump is not null;

    /// <summary>The error for a target that only the WAL itself can prove.</summary>
    public static BackupException ToolMissing(RecoveryTarget target) => new(
        ErrorKind.ToolMissing,
        $"whether {target} can be reached can't be told: pg_waldump of the cluster's version is missing",
        "install the server package (apt-get install postgresql-15 for version 15), or set PG_BIN_DIR to its programs");

    /// <summary>When the last transaction of the WAL ended; null where none did in its last segments.</summary>
    /// <param name="span">The WAL.</param>
    /// <param name="mostSegments">How many segments to look into.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<TransactionEnd?> LastTransactionAsync(WalSpan span, int mostSegments, CancellationToken cancel)
    {
        var begin = Math.Max(span.Segments.Count - mostSegments, 0);
        for (var (end, size) = (span.Segments.Count, 2); end > begin; end -= size - 1, size = WindowOf(span))
        {
            TransactionEnd? last = null;
            await ReadAsync(span, Math.Max(end - size, begin), end, "Transaction", line => last = ReadEnd(line) ?? last, cancel);
            if (last is not null)
            {
                return last;
            }
        }

        return null;
    }

    /// <summary>Where the last record of the WAL begins; null where there is none.</summary>
    public async Task<Lsn?> LastRecordAsync(WalSpan span, CancellationToken cancel)
    {
        Lsn? last = null;
        await ReadAsync(
            span,
            span.Segments.Count - 2,
            span.Segments.Count,
            null,
            line => last = Position().Match(line) is { Success: true } m ? Lsn.Parse(m.Groups["lsn"].Value) : last,
            cancel);
        return last;
    }

    /// <summary>True when a named restore point stands in the WAL after a position.</summary>
    public Task<bool> HasRestorePointAsync(WalSpan span, Lsn after, string name, CancellationToken cancel) =>
        AnyAsync(span, after, "XLOG", line => line.EndsWith($"desc: RESTORE_POINT {name}", StringComparison.Ordinal), cancel);

    /// <summary>True when a transaction ends in the WAL after a position.</summary>
    public Task<bool> HasTransactionAsync(WalSpan span, Lsn after, uint xid, CancellationToken cancel) =>
        AnyAsync(span, after, "Transaction", line => ReadEnd(line)?.Xid == xid, cancel);

    /// <summary>True when a tablespace is created in the WAL after a position (src/backend/access/rmgrdesc/tblspcdesc.c).</summary>
    public Task<bool> CreatesTablespaceAsync(WalSpan span, Lsn after, IReadOnlyCollection<uint> oids, CancellationToken cancel)
    {
        var words = oids.Select(static o => string.Create(CultureInfo.InvariantCulture, $"desc: CREATE {o} \"")).ToList();
        return AnyAsync(span, after, "Tablespace", line => words.Exists(w => line.Contains(w, StringComparison.Ordinal)), cancel);
    }

    private async Task<bool> AnyAsync(WalSpan span, Lsn after, string manager, Func<string, bool> isIt, CancellationToken cancel)
    {
        // Windows share a segment, so that a record across two of them is read whole in one.
        var size = WindowOf(span);
        for (var begin = span.Segments.TakeWhile(s => s.End <= after).Count(); begin < span.Segments.Count; begin += size - 1)
        {
            var found = false;
            await ReadAsync(
                span,
                begin,
                begin + size,
                manager,
                line => found |= isIt(line) && Position().Match(line) is { Success: true } m && Lsn.Parse(m.Groups["lsn"].Value) >= after,
                cancel);
            if (found)
            {
                return true;
            }
        }

        return false;
    }

    private static int WindowOf(WalSpan span) => Math.Max(WindowBytes / span.Missing.SizeBytes, 2);

    private async Task ReadAsync(WalSpan span, int begin, int end, string? manager, Action<string> line, CancellationToken cancel)
    {
        var window = span.Segments.Take(Math.Max(begin, 0)..Math.Min(end, span.Segments.Count)).ToList();
        var folder = MakePrivateFolder(window.Sum(static s => (long)s.SizeBytes));
        try
        {
            var names = new List<string>();
            foreach (var segment in window)
            {
                names.Add((segment with { Timeline = window[^1].Timeline }).Name);
                await DecodeAsync(span, segment, Path.Combine(folder, names[^1]), cancel);
            }

            string[] only = manager is null ? [] : [$"--rmgr={manager}"];
            await using var child = launcher.Start(new ChildCommand(waldump!, ["-p", folder, .. only, names[0], names[^1]])
            {
                Environment = new Dictionary<string, string?> { ["TZ"] = "UTC", ["LC_ALL"] = "C" },
            });
            child.CloseInput();
            await ReadLinesAsync(child, line, cancel);
            // It ends with an error at the end of what was written, which is where every last segment has it.
            await child.WaitForExitAsync(cancel);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task DecodeAsync(WalSpan span, WalSegment segment, string path, CancellationToken cancel)
    {
        await using var file = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        var name = WalFileName.Parse(segment.Name);
        var isLast = segment == span.Segments[^1];
        if (isLast && span.FromPieces)
        {
            _ = await pieces.JoinAsync(name, file, providers, cancel) ?? throw Gone(segment);
        }
        else
        {
            await using var plain = await archive.OpenAsync(name, providers, cancel)
                ?? (old.Files.TryGetValue(segment.Name, out var left) ? File.OpenRead(left) : throw Gone(segment));
            await plain.CopyToAsync(file, cancel);
        }

        if (isLast && span.LastBytes < segment.SizeBytes)
        {
            file.SetLength(span.LastBytes);
            file.SetLength(segment.SizeBytes);
        }
    }

    private BackupException Gone(WalSegment segment) => new(
        ErrorKind.Verification, $"WAL segment {segment} was there and is gone from store {archive.StoreName}", "see who deletes from it");

    private static async Task ReadLinesAsync(ChildProcess child, Action<string> line, CancellationToken cancel)
    {
        var buffer = new byte[256 * 1024];
        var rest = new StringBuilder();
        int read;
        while ((read = await child.ReadOutputAsync(buffer, cancel)) > 0)
        {
            var lines = rest.Append(Encoding.UTF8.GetString(buffer, 0, read)).ToString().Split('\n');
            rest.Clear().Append(lines[^1]);
            foreach (var one in lines[..^1])
            {
                line(one);
            }
        }
    }

    // A container's has 64 MiB, unless it was asked for more; and not everybody may write there.
    private static string MakePrivateFolder(long bytes)
    {
        var folder = Path.Combine(Memory, $"shbackup-wal-{Guid.NewGuid():n}");
        try
        {
            if (Directory.Exists(Memory) && new DriveInfo(Memory).AvailableFreeSpace >= bytes)
            {
                Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                return folder;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Then on a disk.
        }

        return Directory.CreateTempSubdirectory("shbackup-wal-").FullName;
    }

    private static TransactionEnd? ReadEnd(string line) => End().Match(line) is { Success: true } m
        ? new TransactionEnd(
            uint.Parse(m.Groups["prepared"] is { Success: true } prepared ? prepared.Value : m.Groups["xid"].Value, CultureInfo.InvariantCulture),
            DateTimeOffset.ParseExact(
                m.Groups["time"].Value, "yyyy-MM-dd HH:mm:ss.FFFFFF", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal))
        : null;

    // src/backend/access/rmgrdesc/xactdesc.c; with TZ=UTC.
    [GeneratedRegex(
        @"tx: +(?<xid>\d+), .*desc: (COMMIT|ABORT)(_PREPARED)? ((?<prepared>\d+): )?(?<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex End();

    [GeneratedRegex(@"lsn: (?<lsn>[0-9A-F]+/[0-9A-F]+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Position();
}
