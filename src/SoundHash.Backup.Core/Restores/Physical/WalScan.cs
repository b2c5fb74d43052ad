using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>A transaction's end in the WAL.</summary>
/// <param name="Xid">Its id, without an epoch.</param>
/// <param name="Time">When.</param>
internal sealed record TransactionEnd(uint Xid, DateTimeOffset Time);

/// <summary>
/// Reads archived WAL with pg_waldump. Segments are decoded into a private folder, in memory where the machine has /dev/shm,
/// and removed. All are given the names of one timeline there, since pg_waldump follows one only.
/// </summary>
internal sealed partial class WalScan(
    WalArchive archive,
    IReadOnlyDictionary<string, string> localFiles,
    string waldump,
    ProcessLauncher launcher,
    Func<EncryptionMethod, IEncryptionProvider> providers)
{
    private const int WindowSegments = 8;
    private const string Memory = "/dev/shm";

    /// <summary>When the last transaction of the WAL ended; null where none did.</summary>
    public async Task<TransactionEnd?> LastTransactionAsync(IReadOnlyList<WalSegment> segments, CancellationToken cancel)
    {
        var size = 2;
        for (var end = segments.Count; end > 0; end -= Math.Max(size / 2, 1), size = Math.Min(size * 2, 2 * WindowSegments))
        {
            TransactionEnd? last = null;
            await ReadAsync(Window(segments, end - size, end), "Transaction", line => last = ReadEnd(line) ?? last, cancel);
            if (last is not null)
            {
                return last;
            }
        }

        return null;
    }

    /// <summary>Where the last record of the WAL begins; null where there is none.</summary>
    public async Task<Lsn?> LastRecordAsync(IReadOnlyList<WalSegment> segments, CancellationToken cancel)
    {
        Lsn? last = null;
        await ReadAsync(
            Window(segments, segments.Count - 2, segments.Count),
            null,
            line => last = Position().Match(line) is { Success: true } m ? Lsn.Parse(m.Groups["lsn"].Value) : last,
            cancel);
        return last;
    }

    /// <summary>True when a named restore point stands in the WAL after a position.</summary>
    public Task<bool> HasRestorePointAsync(IReadOnlyList<WalSegment> segments, Lsn after, string name, CancellationToken cancel) => AnyAsync(
        segments, after, "XLOG", line => line.EndsWith($"desc: RESTORE_POINT {name}", StringComparison.Ordinal), cancel);

    /// <summary>True when a transaction ends in the WAL after a position.</summary>
    public Task<bool> HasTransactionAsync(IReadOnlyList<WalSegment> segments, Lsn after, uint xid, CancellationToken cancel) => AnyAsync(
        segments, after, "Transaction", line => ReadEnd(line)?.Xid == xid, cancel);

    private async Task<bool> AnyAsync(
        IReadOnlyList<WalSegment> segments, Lsn after, string manager, Func<string, bool> isIt, CancellationToken cancel)
    {
        // Windows share a segment, so that a record across two of them is read whole in one.
        var later = segments.Where(s => s.End > after).ToList();
        for (var begin = 0; begin < later.Count; begin += WindowSegments - 1)
        {
            var found = false;
            await ReadAsync(
                Window(later, begin, begin + WindowSegments),
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

    private static List<WalSegment> Window(IReadOnlyList<WalSegment> segments, int begin, int end) =>
        segments.Take(Math.Max(begin, 0)..Math.Min(end, segments.Count)).ToList();

    private async Task ReadAsync(List<WalSegment> window, string? manager, Action<string> line, CancellationToken cancel)
    {
        var folder = MakePrivateFolder();
        try
        {
            var names = new List<string>();
            foreach (var segment in window)
            {
                names.Add((segment with { Timeline = window[^1].Timeline }).Name);
                await DecodeAsync(segment, Path.Combine(folder, names[^1]), cancel);
            }

            string[] only = manager is null ? [] : [$"--rmgr={manager}"];
            await using var child = launcher.Start(new ChildCommand(waldump, ["-p", folder, .. only, names[0], names[^1]])
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

    private async Task DecodeAsync(WalSegment segment, string path, CancellationToken cancel)
    {
        if (localFiles.TryGetValue(segment.Name, out var local))
        {
            File.Copy(local, path);
            return;
        }

        await using var plain = await archive.OpenAsync(WalFileName.Parse(segment.Name), providers, cancel)
            ?? throw new BackupException(
                ErrorKind.Verification, $"WAL segment {segment} was there and is gone from store {archive.StoreName}", "see who deletes from it");
        await using var file = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        await plain.CopyToAsync(file, cancel);
    }

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

    private static string MakePrivateFolder()
    {
        if (!Directory.Exists(Memory))
        {
            return Directory.CreateTempSubdirectory("shbackup-wal-").FullName;
        }

        var folder = Path.Combine(Memory, $"shbackup-wal-{Guid.NewGuid():n}");
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return folder;
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
