using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores;

/// <summary>What one restore works with.</summary>
internal sealed record RestoreContext(
    ProcessLauncher Launcher, PgTools Tools, int ServerMajor, RestoreOptions Options, TimeProvider Time, TransferMeter Meter, ILogger Log)
{
    /// <summary>What PostgreSQL's programs said though they succeeded.</summary>
    public ToolWarnings Warnings { get; } = new(Log);

    public ArchiveLoader Loader(ConnectionSettings database) => new(this, database);

    /// <summary>Says what rows alone, or single tables, leave as it was.</summary>
    /// <param name="views">There are materialized views.</param>
    /// <param name="singleTables">Single tables were chosen.</param>
    public void WarnOfLeftOut(bool views, bool singleTables)
    {
        if (Options.DataOnly && views)
        {
            Log.Warning("materialized views are as they were: REFRESH those that read the restored rows");
        }

        if (singleTables)
        {
            Log.Warning("sequences are no part of single tables: set those that number new rows (setval), and defaults that use them");
        }
    }

    /// <summary>ANALYZE; failing is a warning, since statistics are no data: plans may be bad without them, and nothing is lost.</summary>
    public async Task TryAnalyzeAsync(ConnectionSettings database, CancellationToken cancel)
    {
        try
        {
            await Loader(database).AnalyzeAsync(Options.Jobs, cancel);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            Log.Warning("{Message}; the data is there, but run vacuumdb --analyze-only when the cause is mended", e.Message);
        }
    }

    /// <summary>Runs what follows a commit into an existing database: its failure must not hide that the rows are there.</summary>
    /// <param name="target">The database.</param>
    /// <param name="differences">How many tables differ, once that is known.</param>
    /// <param name="follow">What follows.</param>
    public static async Task<T> AfterCommitAsync<T>(string target, Func<int?> differences, Func<Task<T>> follow)
    {
        try
        {
            return await follow();
        }
        catch (Exception e) when (e is BackupException or OperationCanceledException)
        {
            var found = differences() switch
            {
                null => "were not compared",
                0 => "are as they were backed up",
                1 => "differ from the backup in one table",
                var count => $"differ from the backup in {count} tables",
            };
            var todo = differences() is null ? "compare them yourself" : "run REFRESH MATERIALIZED VIEW and ANALYZE yourself";
            throw new BackupException(
                (e as BackupException)?.Kind ?? ErrorKind.Cancelled,
                $"{(e is OperationCanceledException ? "cancelled" : e.Message)}; the rows are committed in database \"{target}\", and {found}",
                $"{todo}; restoring again would double them or collide",
                e);
        }
    }
}
