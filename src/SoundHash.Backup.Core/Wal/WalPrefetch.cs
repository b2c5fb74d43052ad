using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Wal;

/// <summary>
/// Fetches segments ahead of PostgreSQL's replay, several at once, into the spool, from where its restore_command takes them
/// without us. One process for each data directory does this for as long as segments are taken; what nobody takes is removed.
/// That a segment is not in the archive is never remembered: PostgreSQL asks for it, and is answered from the archive itself.
/// </summary>
/// <param name="fetch">Fetches one.</param>
/// <param name="spool">Where to.</param>
/// <param name="jobs">How many at once.</param>
/// <param name="time">The clock.</param>
public sealed class WalPrefetch(WalFetch fetch, WalSpool spool, int jobs, TimeProvider time)
{
    private const int MostBytesAhead = 256 * 1024 * 1024;
    private const string AskedFile = "asked";
    private const string LockFile = "prefetch.lock";
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(30);

    private readonly string _folder = spool.FetchedFolder;
    private readonly Dictionary<WalSegment, Task<bool>> _running = [];
    private WalSegment _next;
    private bool _ended;

    /// <summary>Notes what PostgreSQL asked for last; false when a process is at work that goes on from there.</summary>
    public static bool AnnounceAsked(WalSpool spool, WalFileName asked)
    {
        var path = Path.Combine(spool.FetchFolder, AskedFile);
        var temporary = $"{path}-{Environment.ProcessId}";
        File.WriteAllText(temporary, asked.Name);
        File.Move(temporary, path, overwrite: true);
        using var free = TryTakeLock(spool);
        return free is not null;
    }

    /// <summary>Works until nobody takes segments any more, the server ended, or another process does the same.</summary>
    /// <param name="asked">The segment that was fetched last.</param>
    /// <param name="dataDirectory">The data directory.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task RunAsync(WalSegment asked, string dataDirectory, CancellationToken cancel)
    {
        using var alone = TryTakeLock(spool);
        if (alone is null)
        {
            return;
        }

        _next = asked.Next;
        RemoveLeftovers();
        var taken = time.GetTimestamp();
        var before = -1;
        try
        {
            while (time.GetElapsedTime(taken) < Idle && File.Exists(Path.Combine(dataDirectory, "postmaster.pid")))
            {
                asked = Follow(asked);
                var there = Fetched().Count;
                taken = there == before ? taken : time.GetTimestamp();
                before = there;
                await StepAsync(there, cancel);
                if (_ended && there + _running.Count == 0)
                {
                    return;
                }
            }
        }
        finally
        {
            await ((Task)Task.WhenAll(_running.Values)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            RemoveAllBut(_ => false);
        }
    }

    private static FileLock? TryTakeLock(WalSpool spool) => FileLock.TryTake(Path.Combine(spool.FetchFolder, LockFile));

    // PostgreSQL asked for something itself: it was faster than we, or is on another timeline now.
    private WalSegment Follow(WalSegment known)
    {
        var name = File.ReadAllText(Path.Combine(spool.FetchFolder, AskedFile));
        if (!WalSegment.TryParse(name, known.SizeBytes, out var asked) || asked == known)
        {
            return known;
        }

        RemoveAllBut(s => s.Timeline == asked.Timeline && s.Number > asked.Number);
        if (asked.Timeline != _next.Timeline || asked.Number >= _next.Number || Fetched().Count + _running.Count == 0)
        {
            _next = asked.Next;
        }

        _ended = false;
        return asked;
    }

    private async Task StepAsync(int there, CancellationToken cancel)
    {
        foreach (var (segment, task) in _running.Where(static r => r.Value.IsCompleted).ToList())
        {
            _running.Remove(segment);
            // A failure ends us; PostgreSQL will ask for that segment and see the reason.
            _ended |= !await task;
        }

        var limit = Math.Max(jobs, MostBytesAhead / _next.SizeBytes);
        if (!_ended && _running.Count < jobs && there + _running.Count < limit)
        {
            var segment = _next;
            _running[segment] = Task.Run(() => fetch.RunAsync(WalFileName.Parse(segment.Name), PathOf(segment), cancel), cancel);
            _next = segment.Next;
            return;
        }

        await Task.WhenAny([.. _running.Values, Task.Delay(Poll, time, cancel)]);
        cancel.ThrowIfCancellationRequested();
    }

    private string PathOf(WalSegment segment) => Path.Combine(_folder, segment.Name);

    private List<WalSegment> Fetched() => Directory.EnumerateFiles(_folder)
        .Select(p => WalSegment.TryParse(Path.GetFileName(p), _next.SizeBytes, out var segment) ? segment : default)
        .Where(static s => s.Timeline > 0)
        .ToList();

    // Of one that was killed, halves among them, and of other runs of the machine. We alone write here.
    private void RemoveLeftovers()
    {
        foreach (var path in Directory.GetDirectories(spool.FetchFolder))
        {
            Directory.Delete(path, recursive: true);
        }

        foreach (var path in Directory.GetFiles(spool.FetchFolder).Where(static p => WalFileName.TryParse(Path.GetFileName(p)) is not null))
        {
            File.Delete(path);
        }

        LocalFiles.MakeOwnDirectories(_folder);
    }

    private void RemoveAllBut(Func<WalSegment, bool> keep)
    {
        foreach (var segment in Fetched().Where(s => !keep(s)))
        {
            File.Delete(PathOf(segment));
        }
    }

    private sealed class FileLock(SafeFileHandle file) : IDisposable
    {
        public static FileLock? TryTake(string path)
        {
            var file = LocalFiles.OpenToLock(path);
            if (LocalFiles.TryLock(file, path))
            {
                return new FileLock(file);
            }

            file.Dispose();
            return null;
        }

        public void Dispose()
        {
            LocalFiles.Unlock(file);
            file.Dispose();
        }
    }
}
