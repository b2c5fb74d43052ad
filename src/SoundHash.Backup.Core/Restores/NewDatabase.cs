using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>The name that a restored database got.</summary>
/// <param name="Name">Its name.</param>
/// <param name="KeptAs">The new name of the database that it replaced, or null.</param>
/// <param name="Comparison">How it compares with what was recorded.</param>
internal sealed record PublishedDatabase(string Name, string? KeptAs, ComparisonResult Comparison);

/// <summary>
/// Fills a new database under a working name and gives it its own when it is whole. Whatever can be known to fail is
/// tried before an old database is dropped; and once the rows are loaded, no later failure drops them again.
/// </summary>
/// <param name="server">Where.</param>
/// <param name="properties">What the database had, or null when that is not known.</param>
/// <param name="dropLast">The old database is dropped when the new one is whole, since what is restored could not be verified in depth before.</param>
/// <param name="run">What the restore works with.</param>
internal sealed class NewDatabase(TargetServer server, DatabaseProperties? properties, bool dropLast, RestoreContext run)
{
    private readonly WorkingDatabase _working = server.Working;

    private bool _dropBegan;
    private bool _dropped;

    /// <summary>Loads, checks and names the database.</summary>
    /// <param name="decision">What becomes of an old one.</param>
    /// <param name="load">Loads it; when that fails, it is dropped.</param>
    /// <param name="check">Looks at what was loaded, with what loading returned; when that or anything later fails, it is kept aside.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It failed; the message says what of old and new is there.</exception>
    public async Task<PublishedDatabase> FillAsync<T>(
        TargetDecision decision,
        Func<ConnectionSettings, CancellationToken, Task<T>> load,
        Func<T, ConnectionSettings, CancellationToken, Task<ComparisonResult>> check,
        CancellationToken cancel)
    {
        T loaded;
        try
        {
            await _working.CreateAsync(properties, run.Options.NoTablespaces, cancel);
            await _working.RehearseFinishAsync(properties, run.Options, cancel);
            await (dropLast ? Task.CompletedTask : DropTargetAsync(decision, cancel));
            loaded = await server.WhileHeldAsync(stop => load(_working.Settings, stop), run.Time, cancel);
        }
        catch (Exception e)
        {
            await TryDropWorkingAsync();
            if (!_dropBegan)
            {
                throw;
            }

            var (kind, message) = Describe(e);
            throw new BackupException(
                kind,
                $"{message}; {Dropped} and is not restored yet",
                (e as BackupException)?.Hint ?? "correct the cause, then run the restore again",
                e);
        }

        try
        {
            var comparison = await server.WhileHeldAsync(stop => check(loaded, _working.Settings, stop), run.Time, cancel);
            await _working.FinishAsync(properties, run.Options, cancel);
            return await PublishAsync(decision, comparison, cancel);
        }
        catch (Exception e)
        {
            throw await KeepAsideAsync(e);
        }
    }

    private string Dropped => $"database \"{server.Target}\" {(_dropped ? "was" : "may have been")} dropped before";

    private async Task DropTargetAsync(TargetDecision decision, CancellationToken cancel)
    {
        if (decision.Action != TargetAction.DropFirst)
        {
            return;
        }

        cancel.ThrowIfCancellationRequested();
        run.Log.Information("dropping database \"{Target}\"", server.Target);
        try
        {
            _dropBegan = true;
            await server.DropAsync(server.Target);
            _dropped = true;
        }
        catch (BackupException e) when (e.IsOfStatement())
        {
            // The server refused: it is all there.
            _dropBegan = false;
            throw;
        }
    }

    // A database that differs from its set never gets the target's name; it is kept beside it for a person to look at.
    private async Task<PublishedDatabase> PublishAsync(TargetDecision decision, ComparisonResult comparison, CancellationToken cancel)
    {
        if (comparison.Differences.Count > 0)
        {
            var aside = server.Derived("differs", run.Time.GetUtcNow());
            await _working.RenameAsync(aside, cancel);
            return new PublishedDatabase(aside, null, comparison);
        }

        string? kept = null;
        if (decision.Action == TargetAction.SwapIn)
        {
            kept = await _working.SwapAsync(run.Time.GetUtcNow(), cancel);
        }
        else
        {
            await (dropLast ? DropTargetAsync(decision, cancel) : Task.CompletedTask);
            await _working.RenameAsync(server.Target, cancel);
        }

        await (properties?.IsTemplateAs(server.Target) == true ? _working.TryMarkTemplateAsync(server.Target) : Task.CompletedTask);
        return new PublishedDatabase(server.Target, kept, comparison);
    }

    private async Task<BackupException> KeepAsideAsync(Exception e)
    {
        var name = server.Derived("restored", run.Time.GetUtcNow());
        try
        {
            await _working.RenameAsync(name, CancellationToken.None);
        }
        catch (BackupException renaming)
        {
            run.Log.Warning("{Message}", renaming.Message);
            name = _working.Name;
        }

        var (kind, message) = Describe(e);
        var first = (e as BackupException)?.Hint is { } hint ? $"{hint}; " : string.Empty;
        var last = name == _working.Name ? "; the next restore into the same name drops it" : string.Empty;
        return new BackupException(
            kind,
            $"{message}; the rows are loaded, and their database is kept as \"{name}\"{(_dropBegan ? $"; {Dropped}" : string.Empty)}",
            $"{first}check it, then give it the name that you need (ALTER DATABASE {SqlText.Identifier(name)} RENAME TO …) or drop it{last}",
            e);
    }

    private static (ErrorKind Kind, string Message) Describe(Exception e) => e switch
    {
        OperationCanceledException => (ErrorKind.Cancelled, "cancelled"),
        BackupException known => (known.Kind, known.Message),
        _ => (ErrorKind.Failed, e.Message),
    };

    private async Task TryDropWorkingAsync()
    {
        try
        {
            await _working.DropAsync();
        }
        catch (BackupException e)
        {
            run.Log.Warning(
                "database {Name} of the failed restore could not be dropped: {Message}; the next restore into \"{Target}\" drops it",
                _working.Name,
                e.Message,
                server.Target);
        }
    }
}
