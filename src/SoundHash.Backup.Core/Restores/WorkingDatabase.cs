using Npgsql;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>
/// The database that a restore fills. It has a working name until it is whole, so that an interrupted restore never
/// looks like a finished one.
/// </summary>
internal sealed class WorkingDatabase(TargetServer server, Session maintenance, ILogger log)
{
    /// <summary>The working name: always the same for one target, so that the next restore finds what this one left.</summary>
    public string Name { get; } = WorkingName.For(server.Target);

    /// <summary>Where to connect for it.</summary>
    public ConnectionSettings Settings => server.SettingsOf(Name);

    /// <summary>Makes an empty database under the working name; what an interrupted restore left there is dropped first.</summary>
    public async Task CreateAsync(DatabaseProperties? properties, bool noTablespaces, CancellationToken cancel)
    {
        if (await server.ExistsAsync(Name, cancel))
        {
            log.Information("dropping database {Name}, which an interrupted restore left", Name);
            await DropAsync();
        }

        await maintenance.ExecuteAsync(DatabaseDdl.Create(Name, properties, server.ServerMajor, noTablespaces), cancel);
        var comment = $"shbackup: unfinished restore of {server.Target}; drop it when no restore is running";
        await maintenance.ExecuteAsync(
            $"COMMENT ON DATABASE {SqlText.Identifier(Name)} IS {SqlText.Literal(comment)}",
            cancel);
    }

    /// <summary>Tries on the empty working database whether it can be given owner, rights and limits later; changes nothing.</summary>
    /// <exception cref="BackupException">It can't.</exception>
    public async Task RehearseFinishAsync(DatabaseProperties? properties, RestoreOptions options, CancellationToken cancel)
    {
        if (properties is null)
        {
            return;
        }

        await maintenance.ExecuteAsync("BEGIN", cancel);
        try
        {
            foreach (var sql in DatabaseDdl.Finish(Name, properties, options.NoOwner, options.NoPrivileges))
            {
                await maintenance.ExecuteAsync(sql, cancel);
            }
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            throw new BackupException(
                e.Kind,
                $"owner and rights of the database can't be restored here: {e.Message}",
                "connect as a role that may, or add --no-owner --no-privileges to do without them",
                e);
        }
        finally
        {
            await maintenance.ExecuteAsync("ROLLBACK", CancellationToken.None);
        }
    }

    /// <summary>Gives the filled database its properties. A setting that this server refuses is left out with a warning.</summary>
    public async Task FinishAsync(DatabaseProperties? properties, RestoreOptions options, CancellationToken cancel)
    {
        if (properties is null)
        {
            await maintenance.ExecuteAsync($"COMMENT ON DATABASE {SqlText.Identifier(Name)} IS NULL", cancel);
            return;
        }

        foreach (var sql in DatabaseDdl.Finish(Name, properties, options.NoOwner, options.NoPrivileges))
        {
            await maintenance.ExecuteAsync(sql, cancel);
        }

        foreach (var (setting, sql) in DatabaseDdl.Settings(Name, properties, options.NoPrivileges))
        {
            try
            {
                await maintenance.ExecuteAsync(sql, cancel);
            }
            catch (BackupException e) when (e.InnerException is PostgresException refusal && !cancel.IsCancellationRequested)
            {
                // Parameters come and go with versions and extensions: that must not cost anybody the database. Values may be
                // passwords, and the server's words repeat them.
                log.Warning(
                    "setting {Name:l} of {Subject:l} is not restored: the server refuses it (SQLSTATE {State:l}); the contents of the set have its value",
                    setting.Name,
                    setting.Role is null ? "the database" : $"role \"{setting.Role}\" in the database",
                    refusal.SqlState);
            }
        }
    }

    /// <summary>Gives the filled database a name.</summary>
    public Task RenameAsync(string name, CancellationToken cancel) =>
        new DatabaseRename(maintenance, log).RunAsync([(Name, name)], cancel);

    /// <summary>Puts the filled database in the target's place: both names change, or neither.</summary>
    /// <returns>The old database's new name.</returns>
    public async Task<string> SwapAsync(DateTimeOffset now, CancellationToken cancel)
    {
        var kept = server.Derived("old", now);
        await new DatabaseRename(maintenance, log).RunAsync([(server.Target, kept), (Name, server.Target)], cancel);
        return kept;
    }

    /// <summary>
    /// Marks a finished database as a template, after all else: as such it could not be dropped. Failing is a warning, since
    /// the data is there.
    /// </summary>
    public async Task TryMarkTemplateAsync(string name)
    {
        var sql = $"ALTER DATABASE {SqlText.Identifier(name)} IS_TEMPLATE true";
        try
        {
            await maintenance.ExecuteAsync(sql, CancellationToken.None);
        }
        catch (BackupException e)
        {
            log.Warning("the database was marked as a template, and is not now ({Sql}): {Message}", sql, e.Message);
        }
    }

    /// <summary>Drops the working database, whatever a dump made in it.</summary>
    public async Task DropAsync()
    {
        try
        {
            await server.DropAsync(Name);
        }
        catch (BackupException e) when (e.InnerException is PostgresException { SqlState: PostgresErrorCodes.ObjectInUse })
        {
            // A database with a subscription can't be dropped. Those of a dump were never connected (connect = false).
            await using (var session = await Session.OpenAsync(Settings, CancellationToken.None))
            {
                var names = await session.QueryAsync(
                    """
                    SELECT subname::text FROM pg_subscription
                    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                    """,
                    static r => SqlText.Identifier(r.GetString(0)),
                    CancellationToken.None);
                foreach (var name in names)
                {
                    await session.ExecuteAsync($"ALTER SUBSCRIPTION {name} DISABLE", CancellationToken.None);
                    await session.ExecuteAsync($"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)", CancellationToken.None);
                    await session.ExecuteAsync($"DROP SUBSCRIPTION {name}", CancellationToken.None);
                }
            }

            await server.DropAsync(Name);
        }
    }
}
