using System.Globalization;
using Serilog;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Loads archives and scripts into a database through PostgreSQL's own programs. Their exit codes decide, never their
/// words, and pg_restore stops at the first error.
/// </summary>
internal sealed class ArchiveLoader(ProcessLauncher launcher, PgTools tools, ConnectionSettings database, RestoreOptions options, TransferMeter meter, ILogger log)
{
    private const long MostDrainedBytes = 1L << 30;

    /// <summary>Loads an archive from a stream, straight into the database.</summary>
    public async Task LoadAsync(Stream archive, IEnumerable<string> selection, CancellationToken cancel)
    {
        var chosen = selection.ToList();
        await using var child = Start("pg_restore", [.. Direct(), .. chosen], MayEndEarly(chosen));
        await FeedAsync(archive, child, cancel);
    }

    /// <summary>Loads an archive with several processes. It must be small: it is kept in memory, so that they can seek in it.</summary>
    public async Task LoadParallelAsync(Stream archive, int jobs, CancellationToken cancel)
    {
        using var memory = new MemoryFile("post-data");
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        int read;
        while ((read = await archive.ReadAsync(buffer, cancel)) > 0)
        {
            await memory.Stream.WriteAsync(buffer.AsMemory(0, read), cancel);
            await meter.AddAsync(read, cancel);
        }

        await LoadFileAsync(memory.Path, jobs, cancel);
    }

    /// <summary>Loads an archive that pg_restore opens itself: a file or a directory.</summary>
    public async Task LoadFileAsync(string path, int jobs, CancellationToken cancel)
    {
        await using var child = Start("pg_restore", [.. Direct(), $"--jobs={jobs.ToString(CultureInfo.InvariantCulture)}", path]);
        await RunAloneAsync(child, cancel);
    }

    /// <summary>Loads an archive that pg_restore opens itself, all or nothing.</summary>
    public async Task LoadFileInTransactionAsync(string path, CancellationToken cancel)
    {
        await using var child = Start("pg_restore", [.. Direct(), "--single-transaction", path]);
        await RunAloneAsync(child, cancel);
    }

    /// <summary>Turns an archive into SQL.</summary>
    public async Task ConvertAsync(Stream archive, IEnumerable<string> selection, SqlScript target, CancellationToken cancel)
    {
        var chosen = selection.ToList();
        await using var child = Start("pg_restore", ["--file=-", "--no-password", .. options.PgRestoreArguments(), .. chosen], MayEndEarly(chosen));
        var writing = CopyOutputAsync(child, target, cancel);
        try
        {
            await ToChildAsync(archive, child, cancel);
        }
        catch
        {
            await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // psql's own failure ends the conversion too, and is then the cause to report.
            await (writing.IsFaulted ? writing : Task.CompletedTask);
            throw;
        }

        await writing;
        await EnsureSuccessAsync(child, cancel);
    }

    /// <summary>Starts a script in one transaction, or statement by statement.</summary>
    public SqlScript StartScript(bool transaction) =>
        new(Start("psql", ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--tuples-only", "--no-align", "--file=-"]), transaction);

    /// <summary>ANALYZE of the whole database: without it the first queries after a restore are planned blindly.</summary>
    public async Task AnalyzeAsync(int jobs, CancellationToken cancel)
    {
        await using var child = Start(
            "vacuumdb",
            ["--analyze-only", "--quiet", "--no-password", $"--jobs={jobs.ToString(CultureInfo.InvariantCulture)}", $"--dbname={database.DatabaseOnly()}"]);
        await RunAloneAsync(child, cancel);
    }

    private static async Task CopyOutputAsync(ChildProcess child, SqlScript target, CancellationToken cancel)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        try
        {
            int read;
            while ((read = await child.ReadOutputAsync(buffer, cancel)) > 0)
            {
                await target.WriteAsync(buffer.AsMemory(0, read), cancel);
            }
        }
        catch
        {
            await child.EndAsync();
            throw;
        }
    }

    private IEnumerable<string> Direct() =>
        ["--exit-on-error", "--no-password", $"--dbname={database.DatabaseOnly()}", .. options.PgRestoreArguments()];

    private async Task FeedAsync(Stream archive, ChildProcess child, CancellationToken cancel)
    {
        var discarding = StreamCopy.DiscardOutputAsync(child, cancel);
        await ToChildAsync(archive, child, cancel);
        await discarding;
        await EnsureSuccessAsync(child, cancel);
    }

    // pg_restore chokes on damaged bytes before their hash is known: what is behind them tells whether they were damaged.
    private async Task ToChildAsync(Stream archive, ChildProcess child, CancellationToken cancel)
    {
        try
        {
            await StreamCopy.ToChildAsync(archive, child, meter, cancel);
        }
        catch (ChildProcessException e)
        {
            var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
            long drained = 0;
            int read;
            while (drained < MostDrainedBytes && (read = await archive.ReadAsync(buffer, cancel)) > 0)
            {
                drained += read;
            }

            throw Explain(e);
        }
    }

    // With a part of an archive pg_restore stops reading behind it; ToChildAsync still reads, and so checks, all of it.
    private bool MayEndEarly(IReadOnlyList<string> selection) =>
        options.SchemaOnly || selection.Any(static s => s.StartsWith("--table=", StringComparison.Ordinal));

    private async Task RunAloneAsync(ChildProcess child, CancellationToken cancel)
    {
        using var end = cancel.Register(static c => _ = ((ChildProcess)c!).EndAsync(), child);
        child.CloseInput();
        await StreamCopy.DiscardOutputAsync(child, cancel);
        await EnsureSuccessAsync(child, cancel);
    }

    private async Task EnsureSuccessAsync(ChildProcess child, CancellationToken cancel)
    {
        try
        {
            await child.EnsureSuccessAsync(cancel);
        }
        catch (ChildProcessException e)
        {
            log.Debug(e, "loading failed");
            throw Explain(e);
        }
    }

    private static ChildProcessException Explain(ChildProcessException e) => new(
        e.Tool,
        e.ExitCode,
        e.StderrTail,
        e.StderrTail.Contains("max_locks_per_transaction", StringComparison.Ordinal)
            ? "restore into a new database (--target-db) or with --clean: then it is not one transaction; or raise max_locks_per_transaction"
            : "see the message above; --log-level debug shows all that the program said");

    private ChildProcess Start(string program, IReadOnlyList<string> arguments, bool mayEndEarly = false) =>
        launcher.Start(new ChildCommand(tools.Path(program), arguments) { Environment = database.Environment, MayCloseInputEarly = mayEndEarly });
}
