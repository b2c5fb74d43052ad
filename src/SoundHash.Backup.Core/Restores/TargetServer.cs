using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>
/// The server that a restore works on: its databases come and go here. A database is filled under a working name and
/// gets its own only when it is whole, so that an interrupted restore never looks like a finished one.
/// </summary>
internal sealed class TargetServer : IAsyncDisposable
{
    private const int MaxName = 63;
    private const int SwapAttempts = 3;

    private const string ObjectsQuery =
        """
        SELECT (SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'))
             + (SELECT count(*) FROM pg_proc WHERE pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'))
             + (SELECT count(*) FROM pg_type WHERE typrelid = 0 AND typelem = 0 AND typnamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'))
             + (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public'))
             + (SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql')
             + (SELECT count(*) FROM pg_largeobject_metadata)
        """;

    private readonly Session _maintenance;
    private readonly ILogger _log;

    private TargetServer(Session maintenance, string target, ILogger log)
    {
        _maintenance = maintenance;
        _log = log;
        Target = target;
        WorkingName = $"shbackup_restore_{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(target)))[..12]}";
    }

    /// <summary>The name that the restored database is to have.</summary>
    public string Target { get; }

    /// <summary>The name under which a database is filled; always the same for one target.</summary>
    public string WorkingName { get; }

    public int ServerMajor => _maintenance.ServerMajor;

    /// <summary>Connects beside the target and makes sure that no other restore works on it, from wherever it runs.</summary>
    public static async Task<TargetServer> OpenAsync(ConnectionSettings server, string target, ILogger log, CancellationToken cancel)
    {
        if (Encoding.UTF8.GetByteCount(target) > MaxName)
        {
            throw new BackupException(ErrorKind.Usage, $"'{target}' is longer than the {MaxName} bytes that a database name may have");
        }

        var session = await ConnectBesideAsync(server, target, cancel);
        try
        {
            await PoolerCheck.EnsureDirectAsync(session, cancel);
            var free = await session.TextAsync("SELECT pg_try_advisory_lock(hashtextextended('shbackup restore ' || $1::text, 0))::text", cancel, target);
            if (free != "true")
            {
                throw new BackupException(ErrorKind.Locked, $"another restore into database \"{target}\" is running on {server.Server}", "wait for it, or end it");
            }

            return new TargetServer(session, target, log);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    public async Task<bool> ExistsAsync(string database, CancellationToken cancel) =>
        await _maintenance.TextAsync("SELECT 'yes' FROM pg_database WHERE datname = $1", cancel, database) is not null;

    /// <summary>True when the target database has anything that a restore could collide with.</summary>
    public async Task<bool> TargetHasObjectsAsync(CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(_maintenance.Settings with { Database = Target }, cancel);
        return await session.TextAsync(ObjectsQuery, cancel) != "0";
    }

    /// <summary>Roles of a list that the server does not have.</summary>
    public async Task<IReadOnlyList<string>> MissingRolesAsync(IEnumerable<string> roles, CancellationToken cancel)
    {
        var known = await _maintenance.QueryAsync("SELECT rolname::text FROM pg_roles", static r => r.GetString(0), cancel);
        return roles.Except(known).ToList();
    }

    /// <summary>Roles and tablespaces of the server.</summary>
    public async Task<(IReadOnlySet<string> Roles, IReadOnlySet<string> Tablespaces)> GlobalsAsync(CancellationToken cancel)
    {
        var roles = await _maintenance.QueryAsync("SELECT rolname::text FROM pg_roles", static r => r.GetString(0), cancel);
        var spaces = await _maintenance.QueryAsync("SELECT spcname::text FROM pg_tablespace", static r => r.GetString(0), cancel);
        return (roles.ToHashSet(), spaces.ToHashSet());
    }

    /// <summary>Extensions of a list that are not installed on the server's machine.</summary>
    public async Task<IReadOnlyList<string>> MissingExtensionsAsync(IEnumerable<string> extensions, CancellationToken cancel)
    {
        var known = await _maintenance.QueryAsync("SELECT name::text FROM pg_available_extensions", static r => r.GetString(0), cancel);
        return extensions.Except(known).ToList();
    }

    /// <summary>Where this session is connected to: a database beside the target.</summary>
    public ConnectionSettings MaintenanceSettings => _maintenance.Settings;

    /// <summary>Free bytes where the server keeps its data, or null where that can't be seen from here.</summary>
    public Task<long?> FreeBytesAsync(CancellationToken cancel) => TargetSpace.FreeBytesAsync(_maintenance, cancel);

    /// <summary>Where to connect for a database of this server.</summary>
    public ConnectionSettings SettingsOf(string database) => _maintenance.Settings with { Database = database };

    /// <summary>Makes an empty database under the working name; what an interrupted restore left there is dropped first.</summary>
    public async Task CreateWorkingAsync(DatabaseProperties? properties, bool noTablespaces, CancellationToken cancel)
    {
        if (await ExistsAsync(WorkingName, cancel))
        {
            _log.Information("dropping database {Name}, which an interrupted restore left", WorkingName);
            await DropAsync(WorkingName, cancel);
        }

        await _maintenance.ExecuteAsync(DatabaseDdl.Create(WorkingName, properties, ServerMajor, noTablespaces), cancel);
        await _maintenance.ExecuteAsync(
            $"COMMENT ON DATABASE {SqlText.Identifier(WorkingName)} IS {SqlText.Literal($"shbackup: unfinished restore of {Target}; drop it when no restore is running")}", cancel);
    }

    /// <summary>Gives the filled database its properties.</summary>
    public async Task FinishWorkingAsync(DatabaseProperties? properties, bool noOwner, bool noPrivileges, CancellationToken cancel)
    {
        if (properties is null)
        {
            await _maintenance.ExecuteAsync($"COMMENT ON DATABASE {SqlText.Identifier(WorkingName)} IS NULL", cancel);
            return;
        }

        foreach (var sql in DatabaseDdl.Finish(WorkingName, properties, noOwner, noPrivileges))
        {
            await _maintenance.ExecuteAsync(sql, cancel);
        }
    }

    /// <summary>Gives the filled database a name.</summary>
    public Task RenameWorkingAsync(string name, CancellationToken cancel) =>
        _maintenance.ExecuteAsync($"ALTER DATABASE {SqlText.Identifier(WorkingName)} RENAME TO {SqlText.Identifier(name)}", cancel);

    /// <summary>
    /// Puts the filled database in the target's place: both names change in one transaction. The first rename locks
    /// the database against new connections until the commit, and meanwhile the old ones are ended; a kill at any
    /// moment leaves either both old names or both new ones.
    /// </summary>
    /// <returns>The old database's new name.</returns>
    public async Task<string> SwapAsync(DateTimeOffset now, CancellationToken cancel)
    {
        var kept = Derived("old", now);
        var rename =
            $"BEGIN; ALTER DATABASE {SqlText.Identifier(Target)} RENAME TO {SqlText.Identifier(kept)}; ALTER DATABASE {SqlText.Identifier(WorkingName)} RENAME TO {SqlText.Identifier(Target)}; COMMIT";
        await using var other = await Session.OpenAsync(_maintenance.Settings, cancel);
        for (var attempt = 1; ; attempt++)
        {
            var renaming = _maintenance.ExecuteAsync(rename, cancel);
            while (!renaming.IsCompleted)
            {
                await other.ExecuteAsync($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {SqlText.Literal(Target)}", cancel);
                await Task.WhenAny(renaming, Task.Delay(TimeSpan.FromMilliseconds(200), cancel));
            }

            try
            {
                await renaming;
                return kept;
            }
            catch (BackupException e) when (attempt < SwapAttempts && e.InnerException is PostgresException { SqlState: PostgresErrorCodes.ObjectInUse })
            {
                _log.Information("database \"{Target}\" is still in use; trying again to swap", Target);
                await _maintenance.ExecuteAsync("ROLLBACK", cancel);
            }
        }
    }

    /// <summary>Drops a database and ends its connections; no error when it is not there.</summary>
    public Task DropAsync(string database, CancellationToken cancel) =>
        _maintenance.ExecuteAsync($"DROP DATABASE IF EXISTS {SqlText.Identifier(database)} WITH (FORCE)", cancel);

    /// <summary>The target's name with a word and a time, within PostgreSQL's length.</summary>
    public string Derived(string word, DateTimeOffset now)
    {
        var tail = $"_{word}_{now.UtcDateTime.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture)}";
        var head = Target;
        while (Encoding.UTF8.GetByteCount(head) + tail.Length > MaxName)
        {
            head = head[..^1];
        }

        return head + tail;
    }

    public ValueTask DisposeAsync() => _maintenance.DisposeAsync();

    // Databases are made and renamed from beside them: "postgres" unless that is the target or missing.
    private static async Task<Session> ConnectBesideAsync(ConnectionSettings server, string target, CancellationToken cancel)
    {
        var first = target == "postgres" ? "template1" : "postgres";
        try
        {
            return await Session.OpenAsync(server with { Database = first }, cancel);
        }
        catch (BackupException e) when (first == "postgres" && e.InnerException is PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName })
        {
            return await Session.OpenAsync(server with { Database = "template1" }, cancel);
        }
    }
}
