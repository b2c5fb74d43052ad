using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Restores;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Cli;

/// <summary>One set or file to restore.</summary>
/// <param name="From">The set's id, or the file's path.</param>
/// <param name="Target">The database.</param>
/// <param name="Bytes">Plain bytes to expect, or 0 where nobody knows.</param>
/// <param name="RestoreAsync">Restores it; is given who answers before something is destroyed.</param>
internal sealed record RestoreJob(
    string From, string Target, long Bytes, Func<Func<string, bool>, CancellationToken, Task<RestoreResult>> RestoreAsync)
{
    public static RestoreJob OfFile(RestoreRun run, string path, RestoreOptions options) =>
        new(path, options.Target, 0, (confirm, cancel) => run.RunFileAsync(path, options, confirm, cancel));

    /// <summary>A set, which nobody removes while it is restored.</summary>
    public static RestoreJob OfSet(
        RestoreRun run, SetReading reading, Manifest set, RestoreOptions options, RestorePace pace) => new(
        set.Id,
        options.Target,
        set.PlainBytes,
        async (confirm, cancel) =>
        {
            using var use = await reading.BeginAsync(set.Id, cancel);
            var result = await run.RunAsync(reading.Store, set, options, confirm, cancel);
            await pace.RememberAsync(set, options, result.Phases);
            return result;
        });
}

/// <summary>How sets are read that nobody is to remove meanwhile.</summary>
/// <param name="Store">Where they are.</param>
/// <param name="StateDirectory">Where it is marked that they are read.</param>
/// <param name="Unmarked">Told why a set could not be marked.</param>
/// <param name="Time">The clock.</param>
internal sealed record SetReading(IObjectStore Store, string StateDirectory, Action<string> Unmarked, TimeProvider Time)
{
    public Task<SetUse> BeginAsync(string id, CancellationToken cancel) =>
        SetUse.BeginAsync(StateDirectory, Store, id, Unmarked, Time, cancel);
}

/// <summary>Restores one thing after the other between the hooks; one failure does not stop the rest.</summary>
internal sealed class RestoreJobs(CliSession cli, HookScope hooks, RestoreRun run, TransferMeter meter, Func<string, bool> confirm)
{
    /// <summary>Restores all, reports, and returns the exit code.</summary>
    public async Task<int> RunAsync(IReadOnlyList<RestoreJob> jobs, CancellationToken cancel)
    {
        (string, string)[] facts =
        [
            ("FROM", string.Join(' ', jobs.Select(static j => j.From))), ("TARGETS", string.Join(' ', jobs.Select(static j => j.Target))),
        ];
        var items = new List<RestoreItem>();
        var code = await hooks.RunAsync(
            facts,
            async () =>
            {
                await using (new ProgressReporter(cli, "restore", meter, () => jobs.Sum(static j => j.Bytes) + run.VerifyingBytes))
                {
                    foreach (var job in jobs)
                    {
                        items.Add(await TryAsync(job, isFirst: items.Count == 0, cancel));
                        if (items[^1].Error?.ExitCode == ExitCodes.For(ErrorKind.Cancelled))
                        {
                            break;
                        }
                    }
                }

                return ExitCodes.Worst(items.Select(CodeOf));
            },
            cancel);
        Report(items, code);
        return code;
    }

    private static int CodeOf(RestoreItem item) =>
        item.Error?.ExitCode ?? (item.Result!.Differences.Count > 0 ? ExitCodes.For(ErrorKind.Verification) : ExitCodes.Success);

    private async Task<RestoreItem> TryAsync(RestoreJob job, bool isFirst, CancellationToken cancel)
    {
        try
        {
            return new RestoreItem(job.From, job.Target, await job.RestoreAsync(confirm, cancel), null);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested && e.Kind != ErrorKind.Cancelled)
        {
            return Failed(job, e);
        }
        catch (Exception e) when (!isFirst && e is BackupException or OperationCanceledException)
        {
            // What was restored before stays, and must be told of: it is not thrown.
            return Failed(job, Cancelled(job.Target, e));
        }
    }

    private RestoreItem Failed(RestoreJob job, BackupException e)
    {
        cli.Log.Debug(e, "restore of {From} failed", job.From);
        cli.ReportLines(e);
        return new RestoreItem(job.From, job.Target, null, ErrorResult.Of(e));
    }

    private static BackupException Cancelled(string target, Exception e)
    {
        var what = e switch
        {
            BackupException { Kind: ErrorKind.Cancelled } known => known.Message,
            BackupException known => $"cancelled ({known.Message})",
            _ => "cancelled; what was not finished has been undone",
        };
        return new BackupException(
            ErrorKind.Cancelled,
            $"database \"{target}\": {what}; what was done before it stays, and is listed",
            (e as BackupException)?.Hint,
            e);
    }

    private void Report(IReadOnlyList<RestoreItem> items, int code)
    {
        foreach (var item in items)
        {
            if (item.Result is { Differences.Count: > 0 } result)
            {
                cli.Terminal.ReportLines(
                    $"{Sizes.Count(result.Differences.Count, "difference")} from set {item.From}",
                    result.IntoExisting
                        ? $"the rows are committed in database \"{result.Database}\": look at the tables named; do not drop it"
                        : $"look at database \"{result.Database}\"; then drop it, or rename it when it will do");
            }
        }

        cli.Print(new RestoreDocument(items, code), ResultJson.Default.RestoreDocument, RestoreOutput.Print);
    }
}
