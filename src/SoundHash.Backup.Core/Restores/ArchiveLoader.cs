using System.Globalization;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Loads archives and scripts into a database through PostgreSQL's own programs. Their exit codes decide, never their
/// words, and pg_restore stops at the first error.
/// </summary>
internal sealed class ArchiveLoader(RestoreContext run, ConnectionSettings database)
{
    private const long MostDrainedBytes = 1L << 30;
    private const string Analyzer = "vacuumdb";
    private const int MostListBytes = 512 * 1024 * 1024;

    /// <summary>Loads an archive from a stream, straight into the database.</summary>
    /// <param name="archive">The archive.</param>
    /// <param name="selection">Arguments that choose a part of it.</param>
    /// <param name="mayEndEarly">pg_restore may have what it needs before the archive ends.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task LoadAsync(Stream archive, IReadOnlyList<string> selection, bool mayEndEarly, CancellationToken cancel)
    {
        await using var child = Start("pg_restore", [.. IntoDatabase(), .. selection], mayEndEarly || run.Options.SchemaOnly);
        var discarding = StreamCopy.DiscardOutputAsync(child, cancel);
        await ToChildAsync(archive, child, cancel);
        await discarding;
        await EnsureSuccessAsync(child, cancel);
    }

    /// <summary>Loads an archive with several processes. It must be small: it is kept in memory, so that they can seek in it.</summary>
    public async Task LoadParallelAsync(Stream archive, IReadOnlyList<string> selection, int jobs, CancellationToken cancel)
    {
        using var memory = new MemoryFile("post-data");
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        int read;
        while ((read = await archive.ReadAsync(buffer, cancel)) > 0)
        {
            await memory.Stream.WriteAsync(buffer.AsMemory(0, read), cancel);
            await run.Meter.AddAsync(read, cancel);
        }

        await LoadFileAsync(memory.Path, selection, jobs, cancel);
    }

    /// <summary>Loads an archive that pg_restore opens itself: a file or a directory.</summary>
    public async Task LoadFileAsync(string path, IReadOnlyList<string> selection, int jobs, CancellationToken cancel)
    {
        await using var child = Start(
            "pg_restore",
            [.. IntoDatabase(), .. selection, Jobs(jobs), path]);
        await RunAloneAsync(child, cancel);
    }

    /// <summary>Turns an archive into SQL that is part of a script's transaction.</summary>
    /// <param name="archive">The archive.</param>
    /// <param name="selection">Arguments that choose a part of it.</param>
    /// <param name="target">The script, which begins and commits the transaction.</param>
    /// <param name="mayEndEarly">pg_restore may have what it needs before the archive ends.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task ConvertAsync(
        Stream archive, IReadOnlyList<string> selection, SqlScript target, bool mayEndEarly, CancellationToken cancel)
    {
        await using var child = Start("pg_restore", [.. IntoScript(), .. selection], mayEndEarly || run.Options.SchemaOnly);
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

    /// <summary>As <see cref="ConvertAsync"/>, for an archive that pg_restore opens itself: a file or a directory.</summary>
    public async Task ConvertFileAsync(string path, IReadOnlyList<string> selection, SqlScript target, CancellationToken cancel)
    {
        await using var child = Start("pg_restore", [.. IntoScript(), .. selection, path]);
        using var end = cancel.Register(static c => _ = ((ChildProcess)c!).EndAsync(), child);
        child.CloseInput();
        await CopyOutputAsync(child, target, cancel);
        await EnsureSuccessAsync(child, cancel);
    }

    /// <summary>As <see cref="ReadListAsync"/>, for an archive that pg_restore opens itself.</summary>
    public async Task<ReadOnlyMemory<byte>> ReadListOfFileAsync(string path, IReadOnlyList<string> selection, CancellationToken cancel)
    {
        await using var child = Start("pg_restore", ["--list", .. selection, path]);
        child.CloseInput();
        var lines = await child.ReadBytesAsync(MostListBytes, cancel);
        await EnsureSuccessAsync(child, cancel);
        return lines;
    }

    /// <summary>
    /// The lines of an archive's table of contents, in its encoding. Reads no further than that, so that nothing is
    /// known of the rest.
    /// </summary>
    /// <param name="archive">The archive.</param>
    /// <param name="selection">Arguments that choose a part of it.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<ReadOnlyMemory<byte>> ReadListAsync(Stream archive, IReadOnlyList<string> selection, CancellationToken cancel)
    {
        await using var child = Start("pg_restore", ["--list", .. selection], mayEndEarly: true);
        var reading = child.ReadBytesAsync(MostListBytes, cancel);
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        int read;
        while (!child.InputClosedByChild && (read = await archive.ReadAsync(buffer, cancel)) > 0)
        {
            await child.WriteInputAsync(buffer.AsMemory(0, read), cancel);
        }

        child.CloseInput();
        var lines = await reading;
        await EnsureSuccessAsync(child, cancel);
        return lines;
    }

    /// <summary>Starts a script in one transaction, or statement by statement.</summary>
    public SqlScript StartScript(bool transaction)
    {
        string[] arguments =
            ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--tuples-only", "--no-align", "--file=-"];
        return new SqlScript(Start("psql", arguments), transaction, run.Warnings);
    }

    /// <summary>ANALYZE of the whole database: without it the first queries after a restore are planned blindly.</summary>
    public async Task AnalyzeAsync(int jobs, CancellationToken cancel)
    {
        var patient = await Timeouts.OffAsync(database, run.ServerMajor, cancel);
        await using var child = Start(
            patient,
            Analyzer,
            ["--analyze-only", "--quiet", "--no-password", Jobs(jobs), $"--dbname={database.DatabaseOnly()}"]);
        await RunAloneAsync(child, cancel);
    }

    private static async Task CopyOutputAsync(ChildProcess child, SqlScript script, CancellationToken cancel)
    {
        var target = new TransactionFilter(script.WriteAsync);
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

        // Only what ended well has its COMMIT; the error of one that did not is the caller's to see.
        if (await child.WaitForExitAsync(cancel) == 0)
        {
            await target.FinishAsync(cancel);
        }
    }

    private static string Jobs(int jobs) => string.Create(CultureInfo.InvariantCulture, $"--jobs={jobs}");

    private IEnumerable<string> IntoDatabase() =>
        ["--exit-on-error", "--no-password", $"--dbname={database.DatabaseOnly()}", .. run.Options.PgRestoreArguments()];

    // Without --single-transaction it would put BEGIN and COMMIT of its own around large objects, and so end ours.
    private IEnumerable<string> IntoScript() =>
        ["--file=-", "--single-transaction", "--no-password", .. run.Options.PgRestoreArguments()];

    // pg_restore chokes on damaged bytes before their hash is known: what is behind them tells whether they were damaged.
    private async Task ToChildAsync(Stream archive, ChildProcess child, CancellationToken cancel)
    {
        try
        {
            await StreamCopy.ToChildAsync(archive, child, run.Meter, cancel);
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
            if (child.Name != Analyzer)
            {
                // It says of each shared catalogue that a role that is no superuser can't analyze it.
                run.Warnings.Add(child);
            }
        }
        catch (ChildProcessException e)
        {
            run.Log.Debug(e, "loading failed");
            throw Explain(e);
        }
    }

    /// <summary>The same failure with the next step, where its words tell one.</summary>
    internal static ChildProcessException Explain(ChildProcessException e) => new(e.Tool, e.ExitCode, e.StderrTail, e.StderrTail switch
    {
        var text when text.Contains("max_locks_per_transaction", StringComparison.Ordinal) =>
            "restore into a new database (--target-db) or with --clean: then it is not one transaction; or raise max_locks_per_transaction",
        var text when text.Contains("can only create extension in database", StringComparison.Ordinal) =>
            "that extension lives in one database of its server only: createdb that database, and restore into it while it is empty",
        _ => "see the message above; --log-level debug shows all that the program said",
    });

    private ChildProcess Start(string program, IReadOnlyList<string> arguments, bool mayEndEarly = false) =>
        Start(database, program, arguments, mayEndEarly);

    private ChildProcess Start(ConnectionSettings connection, string program, IReadOnlyList<string> arguments, bool mayEndEarly = false) =>
        run.Launcher.Start(new ChildCommand(run.Tools.Path(program), arguments)
        {
            Environment = connection.Environment,
            MayCloseInputEarly = mayEndEarly,
        });
}
