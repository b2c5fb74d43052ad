using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>Restores one set into one database and compares what arrived with what was recorded.</summary>
internal sealed class LogicalRestore(
    SetSource source, TargetServer server, ProcessLauncher launcher, PgTools tools, RestoreOptions options, TimeProvider time, TransferMeter meter, ILogger log)
{
    private readonly PhaseClock _phases = new(time);

    public async Task<RestoreResult> RunAsync(TargetState state, CancellationToken cancel)
    {
        if (options.Globals)
        {
            await _phases.RunAsync("globals", () => RestoreGlobalsAsync(cancel));
        }

        await EnsureRolesAndExtensionsAsync(cancel);
        return state.IntoExisting ? await IntoExistingAsync(cancel) : await IntoNewAsync(state, cancel);
    }

    private async Task<RestoreResult> IntoNewAsync(TargetState state, CancellationToken cancel)
    {
        if (state.Exists && options.Mode == TargetMode.Clean)
        {
            log.Information("dropping database \"{Target}\"", options.Target);
            await server.DropAsync(options.Target, cancel);
        }

        await server.CreateWorkingAsync(source.Contents.Database, options.NoTablespaces, cancel);
        var database = server.SettingsOf(server.WorkingName);
        try
        {
            await LoadAsync(database, cancel);
            var comparison = await CheckAsync(database, cancel);
            await server.FinishWorkingAsync(source.Contents.Database, options.NoOwner, options.NoPrivileges, cancel);
            return await NameAsync(state, comparison, cancel);
        }
        catch
        {
            await DropWorkingAsync();
            throw;
        }
    }

    // A database that differs from its set never gets the target's name; it is kept beside it for a person to look at.
    private async Task<RestoreResult> NameAsync(TargetState state, ComparisonResult comparison, CancellationToken cancel)
    {
        if (comparison.Differences.Count > 0)
        {
            var aside = server.Derived("differs", time.GetUtcNow());
            await server.RenameWorkingAsync(aside, cancel);
            return Result(aside, null, comparison);
        }

        if (state.Exists && options.Mode == TargetMode.Swap)
        {
            var kept = await server.SwapAsync(time.GetUtcNow(), cancel);
            return Result(options.Target, kept, comparison);
        }

        await server.RenameWorkingAsync(options.Target, cancel);
        return Result(options.Target, null, comparison);
    }

    private async Task<RestoreResult> IntoExistingAsync(CancellationToken cancel)
    {
        var database = server.SettingsOf(options.Target);
        log.Information("restoring into the existing database \"{Target}\" in one transaction, one stream after the other", options.Target);
        await ExistingTarget.EnsureReadyAsync(database, Chosen(), options, cancel);
        await _phases.RunAsync("load", () => LoadInTransactionAsync(database, cancel));
        return Result(options.Target, null, await CheckAsync(database, cancel)) with { IntoExisting = true };
    }

    private async Task LoadAsync(ConnectionSettings database, CancellationToken cancel)
    {
        var loader = Loader(database);
        if (options.Tables.Count > 0)
        {
            await _phases.RunAsync("load", () => LoadInTransactionAsync(database, cancel));
        }
        else if (!source.IsSplit)
        {
            log.Information("set {Id} is one stream, so that it is restored by one process", source.Manifest.Id);
            await _phases.RunAsync("load", () => LoadOneAsync(loader, source.Manifest.Single(ObjectRole.Dump), cancel));
        }
        else
        {
            await LoadSplitAsync(loader, cancel);
        }
    }

    private async Task LoadSplitAsync(ArchiveLoader loader, CancellationToken cancel)
    {
        await _phases.RunAsync("definitions", () => LoadOneAsync(loader, source.Manifest.Single(ObjectRole.PreData), cancel));
        if (!options.SchemaOnly)
        {
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = options.Jobs, CancellationToken = cancel };
            await _phases.RunAsync("data", () => Parallel.ForEachAsync(source.Data(), parallel, async (item, stop) => await LoadOneAsync(loader, item, stop)));
        }

        await _phases.RunAsync("indexes and constraints", async () =>
        {
            await using var archive = await source.OpenAsync(source.Manifest.Single(ObjectRole.PostData), cancel);
            await loader.LoadParallelAsync(archive, options.Jobs, cancel);
        });
    }

    private async Task LoadOneAsync(ArchiveLoader loader, ObjectRecord item, CancellationToken cancel)
    {
        await using var archive = await source.OpenAsync(item, cancel);
        await loader.LoadAsync(archive, [], cancel);
    }

    private async Task LoadInTransactionAsync(ConnectionSettings database, CancellationToken cancel)
    {
        var loader = Loader(database);
        var facts = await TargetFacts.ReadAsync(database, cancel);
        // Foreign keys that are there already would refuse rows that come before those they point to.
        string[] triggers = options.DataOnly && facts.IsSuperuser ? ["--disable-triggers"] : [];
        await using var script = loader.StartScript(transaction: true);
        if (options.Tables.Count == 0)
        {
            foreach (var item in source.ArchivesInOrder().Where(i => !options.DataOnly || i.Role is ObjectRole.Data or ObjectRole.Dump))
            {
                await ConvertAsync(loader, item, triggers, script, cancel);
            }
        }

        var chosen = source.Choose(options.Tables);
        foreach (var schema in options.DataOnly ? [] : chosen.Select(static t => t.Schema).Distinct().Except(facts.Schemas))
        {
            await script.WriteAsync($"CREATE SCHEMA {SqlText.Identifier(schema)};\n", cancel);
        }

        foreach (var table in chosen)
        {
            await ConvertTableAsync(loader, table, triggers, script, cancel);
        }

        await script.FinishAsync(cancel);
    }

    private async Task ConvertTableAsync(ArchiveLoader loader, TableRecord table, string[] triggers, SqlScript script, CancellationToken cancel)
    {
        // pg_restore compares these two literally: they are names, never patterns.
        string[] only = [$"--schema={table.Schema}", $"--table={table.Name}"];
        var (definition, rows) = source.ArchivesOf(table);
        if (definition != rows && !options.DataOnly)
        {
            await ConvertAsync(loader, definition, only, script, cancel);
        }

        if (definition == rows || !options.SchemaOnly)
        {
            await ConvertAsync(loader, rows, [.. only, .. triggers], script, cancel);
        }
    }

    private async Task ConvertAsync(ArchiveLoader loader, ObjectRecord item, IEnumerable<string> selection, SqlScript script, CancellationToken cancel)
    {
        await using var archive = await source.OpenAsync(item, cancel);
        await loader.ConvertAsync(archive, selection, script, cancel);
    }

    private async Task<ComparisonResult> CheckAsync(ConnectionSettings database, CancellationToken cancel)
    {
        await _phases.RunAsync("analyze", () => Loader(database).AnalyzeAsync(options.Jobs, cancel));
        if (options.SchemaOnly)
        {
            return new ComparisonResult(0, 0, 0, []);
        }

        ComparisonResult? result = null;
        await _phases.RunAsync("compare", async () => result = await RowComparison.RunAsync(database, Chosen(), options.Jobs, cancel));
        return result!;
    }

    private async Task RestoreGlobalsAsync(CancellationToken cancel)
    {
        await using var plain = await source.OpenAsync(source.Manifest.Single(ObjectRole.Globals), cancel);
        using var reader = new StreamReader(plain);
        var (roles, tablespaces) = await server.GlobalsAsync(cancel);
        var (sql, leftAlone) = GlobalsScript.For(await reader.ReadToEndAsync(cancel), roles, tablespaces, options.NoTablespaces);
        if (leftAlone.Count > 0)
        {
            log.Information("roles and tablespaces that exist stay as they are: {Names}", string.Join(", ", leftAlone));
        }

        await using var script = Loader(server.MaintenanceSettings).StartScript(transaction: false);
        await script.WriteAsync(sql, cancel);
        await script.FinishAsync(cancel);
    }

    private async Task EnsureRolesAndExtensionsAsync(CancellationToken cancel)
    {
        if (options.Tables.Count == 0 && !options.DataOnly
            && await server.MissingExtensionsAsync(source.Contents.Extensions.Select(static e => e.Name), cancel) is { Count: > 0 } extensions)
        {
            throw new BackupException(
                ErrorKind.ToolMissing,
                $"the server does not have the extensions {string.Join(", ", extensions)} that the set needs",
                "install their packages on the server's machine");
        }

        if ((options.NoOwner && options.NoPrivileges) || options.DataOnly)
        {
            return;
        }

        if (await server.MissingRolesAsync(source.Contents.Roles, cancel) is { Count: > 0 } roles)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"the server does not have the roles {string.Join(", ", roles)} that own or may use objects of the set",
                "add --globals to make them from the backup, or --no-owner --no-privileges to do without them");
        }
    }

    private async Task DropWorkingAsync()
    {
        try
        {
            await server.DropAsync(server.WorkingName, CancellationToken.None);
        }
        catch (BackupException e)
        {
            log.Warning("database {Name} of the failed restore could not be dropped: {Message}; the next restore into \"{Target}\" drops it", server.WorkingName, e.Message, options.Target);
        }
    }

    private IReadOnlyList<TableRecord> Chosen() => options.Tables.Count == 0 ? source.Contents.Tables : source.Choose(options.Tables);

    private ArchiveLoader Loader(ConnectionSettings database) => new(launcher, tools, database, options, meter, log);

    private RestoreResult Result(string database, string? kept, ComparisonResult comparison) => new(
        source.Manifest.Id, database, false, kept, comparison.Tables, comparison.Rows, comparison.Fingerprints, comparison.Differences, _phases.Phases);
}

/// <summary>Times the phases of a restore.</summary>
internal sealed class PhaseClock(TimeProvider time)
{
    private readonly List<RestorePhase> _phases = [];

    public IReadOnlyList<RestorePhase> Phases => _phases;

    public async Task RunAsync(string name, Func<Task> phase)
    {
        var started = time.GetTimestamp();
        await phase();
        _phases.Add(new RestorePhase(name, time.GetElapsedTime(started).TotalSeconds));
    }
}
