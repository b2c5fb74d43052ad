using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Wal;

/// <summary>What there is of a file that was asked for.</summary>
public enum WalFetched
{
    /// <summary>Nothing: for PostgreSQL the end of the log.</summary>
    Absent,

    /// <summary>All of it.</summary>
    Whole,

    /// <summary>What pieces hold of a segment that was never archived as a whole.</summary>
    Pieces,
}

/// <summary>
/// What a restore_command answers. The archive is written to meanwhile, so that two looks at it are of two moments: the pieces of a
/// segment go when it is whole, and of segments that are archived side by side a later one may be there first. What is not to be
/// answered before the whole segment was looked for once more: that nothing is there, and that something is wrong with what is.
/// </summary>
/// <param name="fetch">Brings what is whole.</param>
/// <param name="pieces">Brings what is not.</param>
/// <param name="gaps">Tells a gap from the end of the log.</param>
/// <param name="time">The clock.</param>
/// <param name="log">For people.</param>
public sealed class WalFetchAnswer(WalFetch fetch, WalFetchPieces pieces, WalFetchGap gaps, TimeProvider time, ILogger log)
{
    private const int Looks = 4;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>Fetches a file, or what there is of it.</summary>
    /// <param name="name">The file.</param>
    /// <param name="data">The data directory that is recovered; null when a person asks, who is told a gap, and given no pieces.</param>
    /// <param name="path">Where to; it appears whole or not at all.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It can't be told what there is, or the segment is missing in a gap.</exception>
    public async Task<WalFetched> RunAsync(WalFileName name, DataDirectory? data, string path, CancellationToken cancel)
    {
        if (await fetch.RunAsync(name, path, cancel))
        {
            return WalFetched.Whole;
        }

        // A standby asks every few seconds, and goes on with its primary: one look at one file is its answer.
        if (name.Kind != WalFileKind.Segment || (data is not null && File.Exists(Path.Combine(data.Path, "standby.signal"))))
        {
            return WalFetched.Absent;
        }

        for (var look = 1; ; look++)
        {
            BackupException? gap = null;
            BackupException? failure = null;
            try
            {
                gap = await gaps.FindAsync(name, data, cancel);
                if (data is not null && await pieces.TryAsync(name, data.Path, path, mustBeWhole: gap is not null, cancel))
                {
                    return WalFetched.Pieces;
                }
            }
            catch (BackupException e) when (!cancel.IsCancellationRequested)
            {
                // A piece that was listed and is gone, since its segment is whole by now.
                failure = e;
            }

            if (await fetch.RunAsync(name, path, cancel))
            {
                return WalFetched.Whole;
            }

            if ((failure ?? gap) is not { } trouble)
            {
                await gaps.WarnIfBegunAsync(name, cancel);
                return WalFetched.Absent;
            }

            if (look == Looks)
            {
                return failure is null && data is null ? Tell(trouble) : throw trouble;
            }

            if (look == 1)
            {
                log.Information("{Message:l}; the archive is looked at again, since it may be written to just now", trouble.Message);
            }

            await Task.Delay(Pause * look, time, cancel);
        }
    }

    private WalFetched Tell(BackupException gap)
    {
        log.Warning("{Message:l}; {Hint:l}", gap.Message, gap.Hint);
        return WalFetched.Absent;
    }
}
